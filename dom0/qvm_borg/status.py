"""How each enrolled qube's backups are, and what a person should do about it.

Runs in dom0; it asks qubesd, and notes there what a qube told of its last backup. What dom0 saw
itself, what the qube claims and what the server shows stand beside each other: the server's word
counts where there is one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qborg_wire import data
from qborg_wire.causes import CAUSES
from qvm_borg import record, schedule
from qvm_borg.enrolment import ORDER
from qvm_borg.errors import QvmBorgError, filled
from qvm_borg.qubes import Qube, System
from qvm_borg.report import moment
from qvm_borg.telling import from_failure

_TROUBLES = data.beside(__file__, "troubles")
IGNORED = "x-qborg-ignore"
_NO_CLIENT = (record.FEATURE, IGNORED, "service.qborg-maintenance", "service.qborg-vault")
_NUMBERS = {"backup": "backup", "claim": "last_success", "server": "time", "size": "size",
            "grown": "grown", "proved": "proved"}
_HOUR, _PROOF_AGE = 3600, 90 * 86400  # seconds; two clocks may differ by an hour


@dataclass(frozen=True)
class Trouble:
    """What is not as it should be, and what to do; one that was chosen needs nobody now."""

    name: str
    what: str
    do: str
    chosen: bool = False


@dataclass(frozen=True)
class Row:
    """One enrolled qube. numbers: seconds since 1970, 0 for never, and bytes; None: not told.

    backup: what dom0 saw; claim and outcome: what the qube says; server (its newest backup), size
    and grown (in seven days): what the server shows; proved: the recovery secrets.
    """

    qube: str
    repository: str
    escrow: str
    outcome: str | None
    numbers: Mapping[str, int | None]
    troubles: Sequence[Trouble]

    @property
    def needs_you(self) -> bool:
        """Whether there is a trouble that nobody chose."""
        return not all(trouble.chosen for trouble in self.troubles)


def rows(found: Sequence[tuple[Qube, record.Record]], claims: Mapping[str, Any],
         shown: Mapping[str, Mapping[str, str]], now: int) -> list[Row]:
    """Answer a row for each qube that has a record, those in trouble first."""
    made = [_row(qube, known, claims.get(qube.name, {}), shown.get(str(known.repository), {}), now)
            for qube, known in found]
    return sorted(made, key=lambda row: (not row.needs_you, row.qube))


def _row(qube: Qube, known: record.Record, claim: Any, shown: Any, now: int) -> Row:
    silent = [Trouble("unanswered", claim.message, claim.hint)] if (
        isinstance(claim, QvmBorgError)) else []
    told = {**known.notes, "backup": "0", "proved": "0", **known.times, "step": known.step,
            **({} if silent else claim), **shown}
    numbers = {name: int(told[part]) if told.get(part, "-").isdigit() else None
               for name, part in _NUMBERS.items()}
    proved, server, claimed = numbers["proved"] or 0, numbers["server"], numbers["claim"]
    said = max(numbers["backup"] or 0, claimed or 0)  # by the qube, now or when dom0 backed it up
    behind = server is not None and said > server + _HOUR
    last = _whole(qube, said, server, claimed, behind, now)
    since = now - 2 * _HOUR * (schedule.hours(qube) or schedule.USUAL)
    late = 0 < last < since and (
        behind or not (schedule.is_paused(qube) or schedule.is_clean(qube, known)))
    cause, unsure = told.get("last_outcome"), claimed is None and (server or 0) >= since
    key, bundle = (known.digests.get(name, told.get(name)) for name in ("key", "bundle"))
    key = "none" if known.encryption == record.KEYFILE else key
    is_so = {
        "copy": known.uuid != qube.uuid, "renamed": qube.name != known.repository.qube,
        "half-enrolled": known.step != ORDER[-1] and (known.escrowed or known.step != "prove"),
        "claims-more": behind, "paused": schedule.is_paused(qube),
        "failing": cause in CAUSES and (late or cause not in _TROUBLES["failing"]["passing"]
                                        and not schedule.is_paused(qube)),
        "unsure": late and unsure, "overdue": late and not (unsure or cause in CAUSES),
        "old-proof": 0 < proved < now - _PROOF_AGE,
        "another-key": told.get("key", key) not in (key, "missing", "unknown"),
        "another-record": known.fingerprint != "" and told.get("fingerprint") not in (
            None, known.fingerprint, known.notes.get(record.NEXT)),
        "another-bundle": bundle != told.get("bundle", bundle),
    }
    wrong = [name for name, row in _TROUBLES.items() if is_so.get(name) or "when" in row and all(
        re.fullmatch(pattern, told.get(part, "")) for part, pattern in row["when"].items())]
    ends = next((at for at, name in enumerate(wrong, 1) if "alone" in _TROUBLES[name]), None)
    words = {**told, **{name: when(number) for name, number in numbers.items()}, "qube": qube,
             "former": known.repository.qube, "feature": record.FEATURE, "last": when(last),
             "claim": when(said),
             "hint": from_failure(qube, str(cause)).hint if cause in CAUSES else ""}
    return Row(qube.name, str(known.repository), told.get("escrow", "unknown"), cause, numbers,
               [*silent, *(trouble(name, **words) for name in wrong[:ends])])


def _whole(qube: Qube, said: int, server: int | None, claimed: int | None, behind: bool,
           now: int) -> int:
    """Answer when the newest backup that is known to be whole began; note it if the qube is heard.

    A commit at the server may be of a run that was cut: it alone tells of no backup. Of one that is
    not heard, dom0's own backup is noted if the server has not got it.
    """
    noted = re.fullmatch("[0-9]{1,15}", qube.feature(record.WHOLE) or "")
    last = min(max(said, int(noted[0]) if noted else 0), now, now if server is None else server)
    if claimed is not None:
        qube.set_feature(record.WHOLE, str(last))
    elif behind:
        qube.set_feature(record.LACKING, str(said))
    return last


def trouble(name: str, /, **fields: object) -> Trouble:
    """Answer a trouble of troubles.toml."""
    row = _TROUBLES[name]
    return Trouble(name, *(filled(row[part], **fields) for part in ("what", "do")), "chosen" in row)


def unenrolled(system: System) -> list[str]:
    """Answer the qubes that could be enrolled and are not, less those with the feature IGNORED."""
    return [qube.name for qube in system.qubes()
            if qube.property("klass") in ("AppVM", "StandaloneVM")
            and not qube.property("template_for_dispvms") and not qube.property("provides_network")
            and not any(map(qube.feature, _NO_CLIENT))]


def when(seconds: int | None) -> str:
    """Answer a moment, or that there was none; None: not told."""
    return moment(seconds) if seconds else "-" if seconds is None else "never"
