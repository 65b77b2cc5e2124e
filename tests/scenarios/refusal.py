"""A command that must be refused and leave everything as it was."""

from dataclasses import dataclass

from lab import Lab
from scenarios import person, state


@dataclass(frozen=True)
class Refused:
    """The words after a command's name, the exit code, and what its one `error:` line says."""

    words: tuple[str, ...]
    code: int
    says: str


def changes_nothing(
    lab: Lab, command: str, row: Refused, before: state.State | None = None
) -> str:
    """Run a command that is refused; no state that lasts may differ from BEFORE (or now).

    Answers what it printed.
    """
    known = state.everything(lab) if before is None else before
    said = person.is_refused(lab, command, *row.words, code=row.code, says=row.says)
    assert state.changes(known, state.everything(lab)) == [], said
    assert state.gates(lab) == []
    return said
