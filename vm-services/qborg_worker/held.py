"""The one record that a worker holds: in memory, once, until the worker is destroyed.

Runs in workers.
"""

import os
from pathlib import Path

from qborg_borg import record_file, recovery_record
from qborg_borg.bundle import KEY_FILE
from qborg_borg.key_export import KEYFILE
from qborg_borg.recovery_record import RecoveryRecord
from qborg_service import qubesdb, volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.names import Repository


def accept(untrusted_record: bytes, repository: Repository) -> RecoveryRecord:
    """Hold a record; the same one twice is one. Raises ServiceFailure for any other."""
    if qubesdb.persistence() != "none":
        raise ServiceFailure("not-this-role", "only a disposable may hold a record")
    record = record_file.received(untrusted_record, repository)
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
    return record_file.received(held, repository)


def key_file(record: RecoveryRecord) -> Path | None:
    """Answer where borg finds the record's key, in memory too; None for a repokey."""
    if record.values["encryption"] != KEYFILE:
        return None
    path = volatile.folder() / KEY_FILE
    write_private(path, record.values["key_export"].encode("ascii"))
    return path


def _held() -> bytes | None:
    try:
        return read_limited(_path(), recovery_record.RECORD_LIMIT)
    except FileNotFoundError:
        return None
    except FileRefused as error:
        raise ServiceFailure("record-refused", "the held record is damaged") from error


def _path() -> Path:
    return volatile.folder() / "record"
