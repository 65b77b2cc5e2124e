"""The gate: policy that lets one qube make one exact call to another, for as long as it lasts.

Runs in dom0. One broken line would make Qubes refuse every call on the machine, so each has a
constant format, and only a checked repository and two uuids stand in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from qborg_wire.names import Repository, parse_repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import files, lock
from qvm_borg.errors import GateError, LockedError

DIRECTORY = Path("/run/qubes/policy.d")
NAME = "69-qborg-gate.policy"
_open: list[str] = []  # the lines of the calls that are under way


def text(service: str, repository: Repository, source: UUID, target: UUID) -> str:
    """Answer the gate's one line; raises ValueError for anything outside its format."""
    if Role.DOM0 in SERVICES[service].callers:
        raise ValueError("dom0's own calls need no gate")
    argument = parse_repository(str(repository))
    return (f"{SERVICES[service].full_name} +{argument} uuid:{UUID(str(source))} "
            f"uuid:{UUID(str(target))} allow autostart=no notify=no\n")


@contextmanager
def opened(directory: Path, line: str) -> Iterator[None]:
    """Keep the gate open for the block, and close it whatever happens; raises GateError.

    Calls that go on side by side have a line each.
    """
    _open.append(line)
    try:
        try:
            _write(directory)
        except OSError as error:
            raise GateError(f"cannot open the gate in {directory}: {error.strerror}") from error
        yield
    finally:
        _open.remove(line)
        try:
            _write(directory)
        except OSError:  # that it is closed goes before the others' calls, which are then refused
            remove(directory)


def _write(directory: Path) -> None:
    if _open:
        files.write(directory / NAME, "".join(_open), 0o640)
    else:
        remove(directory)


def remove(directory: Path) -> bool:
    """Remove a gate, whole or half written; answers whether an open one was there.

    Whoever holds the lock may call this: the owner of any other gate is not alive.
    """
    (directory / f".{NAME}.new").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        (directory / NAME).unlink()
        return True
    return False


def is_stale(directory: Path) -> bool:
    """Answer whether a gate is open that nobody closes; looked at under the lock, if it is free."""
    with suppress(LockedError):
        if (directory / NAME).exists():
            with lock.held():
                return (directory / NAME).exists()
    return False
