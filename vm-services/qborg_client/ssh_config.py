"""The one line of ours in ~/.ssh/config: it brings in the host alias of the bundle.

Runs in clients. The file is the user's: every other byte and its mode stay.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private

INCLUDE = b"Include backups/bakserver\n"
_LIMIT = 1024 * 1024


def with_include(config: bytes) -> bytes:
    """Answer the configuration with our line once, at its top.

    Below a Host line it would hold for that host alone, so one that stands there is moved up.
    """
    rest = [line for line in config.splitlines(keepends=True) if line.rstrip() != INCLUDE.rstrip()]
    return INCLUDE + b"".join(rest)


def without_include(config: bytes) -> bytes:
    """Answer the configuration less our line."""
    return with_include(config).removeprefix(INCLUDE)


def planned(path: Path) -> bytes | None:
    """Answer what the file must become, None if it is so already; changes nothing.

    Raises ServiceFailure for a symlink, a file of another user, or no plain file.
    """
    return _planned(path, with_include)


def planned_removal(path: Path) -> bytes | None:
    """Answer what the file must become to be without our line, as `planned` does."""
    return _planned(path, without_include)


def _planned(path: Path, change: Callable[[bytes], bytes]) -> bytes | None:
    config = b"" if _mode(path) is None else _read(path)
    wanted = change(config)
    return None if config == wanted else wanted


def write(path: Path, config: bytes) -> None:
    """Write the file whole, with the mode it had or 0600; remove it if nothing is left in it."""
    mode = _mode(path)
    if not config:
        path.unlink(missing_ok=True)
        return
    write_private(path, config, 0o600 if mode is None else mode)


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, _LIMIT)
    except FileRefused as error:
        raise ServiceFailure("bundle-refused", f"{path}: {error}") from error


def _mode(path: Path) -> int | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ServiceFailure("bundle-refused", f"{path} is a link or no plain file")
    if status.st_uid != os.getuid():
        raise ServiceFailure("bundle-refused", f"{path} belongs to another user")
    return stat.S_IMODE(status.st_mode)
