"""The user's own KeePassXC database: the records go into a copy, which then takes its place.

Runs in the vault. Killed anywhere, the old file or the new one stands there whole; the old one
stays beside it under another name.
"""

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qborg_borg.recovery_record import RecoveryRecord
from qborg_service.files import read_limited, sync_directory, write_private
from qborg_vault import kdbx_change, kdbx_records, keepass
from qborg_vault.kdbx_change import Step
from qborg_vault.kdbx_text import Document, TextRefused, parse
from qborg_vault.keepass import Database, DatabaseRefused, Key

# What a file system without hard links answers: a USB stick's, one of a host.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP})
_ROOM = "free some space beside it and run the command again; nothing was changed"
_AGAIN = "run the command again; nothing was changed"


@dataclass(frozen=True)
class Exported:
    """What was done: a step for each record, and where the old file is kept (None: no change)."""

    steps: tuple[Step, ...]
    kept: Path | None


def merge(
    path: Path, key: Key, records: Sequence[RecoveryRecord], superseded: Container[str] = ()
) -> Exported:
    """Put the records into an existing database; what else is in it stays.

    `superseded`: the digests of records that these came after. Raises DatabaseRefused or OSError,
    and then the database is as it was.
    """
    with _folder_beside(path) as folder:
        former = read_limited(path, keepass.LIMIT)
        copy = Database(folder / "copy.kdbx", key)
        write_private(copy.path, former, stat.S_IMODE(path.stat().st_mode))
        steps = _merged(copy, records, superseded)
        if not any(step.writes for step in steps):
            return Exported(steps, None)
        require_closed(path)
        if read_limited(path, keepass.LIMIT) != former:
            raise DatabaseRefused("another program wrote the database meanwhile", _AGAIN)
        kept = _keep(path)
        os.rename(copy.path, path)
        sync_directory(path.parent)
    return Exported(steps, kept)


def create(path: Path, key: Key, records: Sequence[RecoveryRecord]) -> Exported:
    """Make a new database with the records in it; never over another file."""
    with _folder_beside(path) as folder:
        made = Database(folder / "copy.kdbx", key)
        made.create()
        steps = _merged(made, records, ())
        made.path.chmod(0o600)
        try:
            _name(made.path, path)
        except FileExistsError as error:
            raise exists(path) from error
        sync_directory(path.parent)
    return Exported(steps, None)


def document(database: Database) -> Document:
    """Answer what a database holds; raises DatabaseRefused."""
    try:
        return parse(database.text())
    except TextRefused as error:
        raise DatabaseRefused(f"keepassxc-cli wrote what we cannot read: {error}", _AGAIN) from None


def exists(path: Path) -> DatabaseRefused:
    """Answer the error for a new database where there is a file."""
    return DatabaseRefused(f"{path.name} exists", "leave --new out to put the records into it")


def require_closed(path: Path) -> None:
    """Raise DatabaseRefused beside the lock of a program that writes over what others wrote.

    KeePassXC has had no such lock since 2.3. Since 2.5 it writes over no file that it has not read.
    """
    lock = path.with_name(f".{path.name}.lock")
    if not lock.exists():
        return
    holder = re.match(rb"([0-9]{1,9})\n", read_limited(lock, 4096))
    if holder is None or Path(f"/proc/{int(holder[1])}").exists():
        raise DatabaseRefused(f"{path.name} is open in another program",
                              f"close it there; if it is open nowhere, remove {lock}")  # fmt: skip


def keepassxc_runs() -> bool:
    """Tell whether this user's KeePassXC runs in this qube."""
    for each in Path("/proc").glob("[0-9]*/comm"):
        try:
            if each.read_bytes() == b"keepassxc\n" and each.stat().st_uid == os.getuid():
                return True
        except OSError:
            continue  # it has just ended
    return False


def _merged(
    copy: Database, records: Sequence[RecoveryRecord], superseded: Container[str]
) -> tuple[Step, ...]:
    """Merge into the copy, read it again, compare; answer what was to be done."""
    before = document(copy)
    steps = kdbx_change.plan(before, records, superseded)
    if any(step.writes for step in steps):
        change = kdbx_change.spell(before, steps, int(time.time()))
        _require_space(copy.path, len(change.reveal()))
        try:
            copy.absorb(change)
            after = document(copy)
        except DatabaseRefused as error:
            # The copy was good before, and keepassxc-cli does not always notice a full disk.
            raise DatabaseRefused("keepassxc-cli wrote no whole copy of it", _ROOM) from error
        _verify(before, after, steps)
        _sync(copy.path)
    return steps


def _require_space(copy: Path, more: int) -> None:
    """Raise DatabaseRefused where two more copies and what is merged into them find no room."""
    about = os.statvfs(copy.parent)
    if about.f_bavail * about.f_frsize < 2 * (copy.stat().st_size + more):
        raise DatabaseRefused("no space is left beside the database", _ROOM)


def _verify(before: Document, after: Document, steps: Sequence[Step]) -> None:
    """Raise DatabaseRefused unless the records read back and all else is as it was."""
    if any(step.writes for step in kdbx_change.plan(after, [each.record for each in steps])):
        raise DatabaseRefused("the records do not read back as they were written", _AGAIN)
    group = kdbx_change.group_of(after)
    ours = frozenset(
        [kdbx_records.entry_uuid(step.record) for step in steps if step.writes]
        + [kdbx_records.made_uuid(kdbx_change.GROUP)] + ([] if group is None else [group.uuid])
    )  # fmt: skip
    if before.others(ours) != after.others(ours):
        raise DatabaseRefused("the merge would have changed what is not ours in it", _AGAIN)


def _keep(path: Path) -> Path:
    """Give the old file a second name beside it and answer that."""
    stem = f"{path.name}.before-{time.strftime('%Y%m%d-%H%M%S')}"
    for count in range(1, 100):
        kept = path.with_name(stem if count == 1 else f"{stem}-{count}")
        try:
            _name(path, kept)
        except FileExistsError:
            continue
        return kept
    raise DatabaseRefused(f"{stem} exists, and 98 more of it", "wait for a second")


def _name(path: Path, other: Path) -> None:
    """Give a file a second name, whole or not at all; raises FileExistsError."""
    try:
        os.link(path, other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if other.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(other)) from error
        write_private(other, read_limited(path, keepass.LIMIT))


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """Hold the directory and yield a fresh one in it, less what a killed run left there."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    prefix = f".{path.name}.qborg-"
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseRefused("another export works in that directory", "wait for it") from (
                error)
        for name in os.listdir(path.parent):
            if name.startswith(prefix):
                shutil.rmtree(path.parent / name, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
            yield Path(folder)
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    """Bring a file that another program wrote to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
