"""What the waiting service learns from the terminal beside it: how the first login ended.

Runs in the maintenance qube. One small file; the server is not asked meanwhile, for each refused
login counts there.
"""

import time

from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.causes import CAUSES

_DONE = "ok"
_LOOK = 0.5  # seconds between two looks


def tell(state: State, failure: ServiceFailure | None) -> None:
    """Leave word of how it ended, for whoever waits."""
    word = _DONE if failure is None else f"{failure.cause} {failure.detail}"
    write_private(state.first_login, word.encode("ascii", "replace"))


def forget(state: State) -> None:
    """Remove the word that an earlier login left."""
    state.first_login.unlink(missing_ok=True)


def is_told(state: State) -> bool:
    """Tell whether it ended, well or not."""
    return _read(state) is not None


def until_told(state: State, seconds: float) -> None:
    """Wait until it ended well; raises its failure, or password-awaited when time is up."""
    deadline = time.monotonic() + seconds
    while (word := _read(state)) is None:
        if time.monotonic() > deadline:
            raise ServiceFailure("password-awaited", "time is up")
        time.sleep(_LOOK)
    forget(state)
    cause, _space, detail = word.partition(" ")
    if cause != _DONE:
        raise ServiceFailure(cause if cause in CAUSES else "internal", detail)


def _read(state: State) -> str | None:
    try:
        return read_limited(state.first_login, 4096).decode("ascii", "replace")
    except (FileNotFoundError, FileRefused):
        return None
