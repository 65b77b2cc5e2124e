"""The recovery record of a repository: in memory, until it is used for what it came for.

Runs in clients. The vault sent it by dom0's order: of a repository to go on with, whose bundle is
prepared, or of another qube's, whose files come here and which is gone before the first of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qborg_borg import record_file, recovery_record
from qborg_borg.recovery_record import RecoveryRecord
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.names import Repository


def take(untrusted_record: bytes, repository: Repository) -> RecoveryRecord:
    """Hold a record, the last one that came; raises record-refused for another repository's."""
    record = record_file.received(untrusted_record, repository)
    write_private(_path(), untrusted_record)
    return record


def required(repository: Repository) -> RecoveryRecord:
    """Answer the held record of a repository; raises record-missing without one."""
    try:
        held = read_limited(_path(), recovery_record.RECORD_LIMIT)
    except (FileNotFoundError, FileRefused) as error:
        raise ServiceFailure("record-missing", f"no record of {repository} came here") from error
    return record_file.received(held, repository)


@contextmanager
def no_longer_than() -> Iterator[None]:
    """Hold none after the block: what is needed of it is in a bundle then."""
    try:
        yield
    finally:
        _path().unlink(missing_ok=True)


def used_up(repository: Repository) -> RecoveryRecord:
    """Answer the held record of a repository, which is held no longer; raises record-missing."""
    with no_longer_than():
        return required(repository)


def _path() -> Path:
    return volatile.folder() / "taken-record"
