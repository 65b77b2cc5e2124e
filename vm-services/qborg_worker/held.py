"""The one record that a worker holds: in memory, once, until the worker is destroyed.

Runs in workers.
"""

import os
from pathlib import Path

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecordRefused, RecoveryRecord
from qborg_service import qubesdb, volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.names import Repository


def accept(untrusted_record: bytes, repository: Repository) -> RecoveryRecord:
    """Hold a record; the same one twice is one. Raises ServiceFailure for any other."""
    if qubesdb.persistence() != "none":
        raise ServiceFailure("not-this-role", "only a disposable may hold a record")
    record = _parsed(untrusted_record, repository)
    held = _held()
    if held is None:
        write_private(_path().with_suffix(".new"), untrusted_record)
        try:
            os.link(_path().with_suffix(".new"), _path())
        except FileExistsError:
            held = _held()
    if held not in (None, untrusted_record):
        raise ServiceFailure("record-refused", "this worker holds another record already")
    return record


def required(repository: Repository) -> RecoveryRecord:
    """Answer the held record of a repository; raises record-refused without it."""
    held = _held()
    if held is None:
        raise ServiceFailure("record-refused", "this worker holds no record")
    return _parsed(held, repository)


def _parsed(untrusted_record: bytes, repository: Repository) -> RecoveryRecord:
    try:
        record = recovery_record.parse(untrusted_record)
    except RecordRefused as error:
        raise ServiceFailure("record-refused", str(error)) from error
    if record.kind is not Kind.REPOSITORY or record.repository != repository:
        raise ServiceFailure("record-refused", "it is for another repository than the call")
    return record


def _held() -> bytes | None:
    try:
        return read_limited(_path(), recovery_record.RECORD_LIMIT)
    except FileNotFoundError:
        return None
    except FileRefused as error:
        raise ServiceFailure("record-refused", "the held record is damaged") from error


def _path() -> Path:
    return volatile.folder() / "record"
