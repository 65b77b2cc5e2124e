"""What dom0 itself knows of each enrolled qube, and what a person should do about it.

Runs in dom0; asks qubesd only. No qube is called or started, so a backup that the schedule made is
not in it: it tells what dom0 has seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from qvm_borg import record
from qvm_borg.enrolment import ORDER
from qvm_borg.qubes import Qube

_COLUMNS = ("qube", "repository", "backup seen", "proved", "escrow")


@dataclass(frozen=True)
class Trouble:
    """What is not as it should be, and what to do; one that was chosen needs nobody now."""

    what: str
    do: str
    chosen: bool = False


@dataclass(frozen=True)
class Row:
    """One enrolled qube; times in seconds since 1970, 0 for never."""

    qube: str
    repository: str
    backup: int
    proved: int
    escrow: str
    troubles: Sequence[Trouble]

    @property
    def needs_you(self) -> bool:
        """Whether there is a trouble that nobody chose."""
        return not all(trouble.chosen for trouble in self.troubles)


def rows(records: Sequence[tuple[Qube, record.Record]]) -> list[Row]:
    """Answer a row for each qube that has a record, those in trouble first."""
    found = [_row(qube, known) for qube, known in records]
    return sorted(found, key=lambda row: (not row.needs_you, row.qube))


def _row(qube: Qube, known: record.Record) -> Row:
    return Row(qube.name, str(known.repository), int(known.times.get("backup", "0")),
               int(known.times.get("proved", "0")), known.notes.get("escrow", "unknown"),
               tuple(_troubles(qube, known)))


def _troubles(qube: Qube, known: record.Record) -> Iterator[Trouble]:
    again = f"run `qvm-borg-enroll {qube}`"
    if known.uuid != qube.uuid:
        yield Trouble(f"it is a copy of the enrolled {known.repository.qube}, and not backed up",
                      f"`qvm-features --unset {qube} {record.FEATURE}`, then {again}")
        return
    if qube.name != known.repository.qube:
        yield Trouble(f"it was enrolled as {known.repository.qube} and renamed since, and is not "
                      "backed up", f"rename it back; or `qvm-borg-revoke {qube}`, then {again}")
    if known.step == record.REVOKING:
        yield Trouble("its key is revoked, and the qube is not yet as it was before",
                      f"run `qvm-borg-revoke {qube}` again")
        return
    if known.step != ORDER[-1] and (known.escrowed or known.step != "prove"):
        yield Trouble(f"its enrolment ended after the step {known.step}", again)
    if known.times.get("proved", "0") == "0":
        yield Trouble("its recovery secrets were never proved to open it", again)
    if not known.escrowed:
        yield Trouble("no vault has what opens its repository", "`qvm-borg-setup --vault NAME`, "
                      f"then {again}; else back up {qube} and the maintenance qube", chosen=True)
    if record.ROTATION in known.notes:
        yield Trouble("a rotation of its secrets is unfinished", again)
    if record.SECRETS in known.notes:
        yield Trouble(f"its secrets were {known.notes[record.SECRETS]}",
                      "take care of every copy of the old scripts' host-keys directory")


def table(found: Sequence[Row]) -> Iterator[str]:
    """Answer the lines for a person: a row for each qube, what to do below it."""
    cells = [_COLUMNS, *((row.qube, row.repository, _when(row.backup), _when(row.proved),
                          row.escrow) for row in found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    below: list[Sequence[Trouble]] = [(), *(row.troubles for row in found)]
    for line, troubles in zip(cells, below, strict=True):
        padded = zip(line, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in padded).rstrip()
        for trouble in troubles:
            yield f"    ! {trouble.what}"
            yield f"      {trouble.do}"


def _when(seconds: int) -> str:
    """Answer a moment in the person's own time zone."""
    if not seconds:
        return "never"
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "?"
