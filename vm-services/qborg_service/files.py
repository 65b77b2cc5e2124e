"""Files that survive a power cut and are read with a bound.

Runs in every qube with a service. Knows paths and bytes, not what they mean.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path


class FileRefused(OSError):
    """A file that is no regular file, a link, or longer than allowed."""


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write the whole file or nothing: beside it, to disk, then renamed over it.

    The directory must exist. Raises OSError and leaves the old file as it was.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(beside, flags, mode)
    try:
        with open(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_limited(path: Path, limit: int) -> bytes:
    """Answer the bytes of a regular file of at most `limit` bytes; the last part is no link.

    Raises FileNotFoundError, FileRefused, or another OSError.
    """
    # Without O_NONBLOCK a fifo in the file's place would hold the caller for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise FileRefused("not a regular file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise FileRefused("the file is longer than allowed")
    return data
