"""What a waiting service learns of who logs in beside it: how the first login ended.

Runs in the maintenance qube. One small file in memory, which stays for all that wait: the service
of a killed set-up does so too. The server is not asked meanwhile, for each refused login counts
there.
"""

import time
from pathlib import Path

from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.causes import CAUSES

_DONE = "ok"
_LOOK = 0.5  # seconds between two looks


def tell(failure: ServiceFailure | None) -> None:
    """Leave word of how it ended, for whoever waits."""
    word = _DONE if failure is None else f"{failure.cause} {failure.detail}"
    write_private(_path(), word.encode("ascii", "replace"))


def forget() -> None:
    """Remove the word that an earlier login left."""
    _path().unlink(missing_ok=True)


def is_told() -> bool:
    """Tell whether it ended, well or not."""
    return _read() is not None


def until_told(seconds: float) -> None:
    """Wait until it ended well; raises its failure, or password-awaited when time is up."""
    deadline = time.monotonic() + seconds
    while (word := _read()) is None:
        if time.monotonic() > deadline:
            raise ServiceFailure("password-awaited", "time is up")
        time.sleep(_LOOK)
    cause, _space, detail = word.partition(" ")
    if cause != _DONE:
        raise ServiceFailure(cause if cause in CAUSES else "internal", detail)


def _path() -> Path:
    return volatile.folder() / "first-login"


def _read() -> str | None:
    try:
        return read_limited(_path(), 4096).decode("ascii", "replace")
    except (FileNotFoundError, FileRefused):
        return None
