"""A recovery record at its keyholder: made once, and again only when something in it changed.

Runs in the maintenance qube and in clients. A record is written down before it is sent, so that a
killed run sends the very same bytes again and the vault keeps one version of them.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecordRefused, RecordTooLong, RecoveryRecord
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_service.secret import Secret
from qborg_wire.names import Repository


@dataclass(frozen=True)
class Escrowed:
    """A record's bytes and their sha256 in hex."""

    data: Secret
    digest: str


def renewed(
    kind: Kind, repository: Repository, path: Path, values: Mapping[str, str]
) -> Escrowed:
    """Answer the record in the file if it says the same, else one that does and is written there.

    Raises record-too-long, and internal for values that are no record.
    """
    made, stored = int(time.time()), _stored(path)
    if stored is not None:
        data, known = stored
        same = all(known.values.get(name) == value for name, value in values.items())
        if same and (known.kind, known.repository) == (kind, repository):
            return Escrowed(data, known.digest)
        made = max(made, known.made + 1)  # where no vault has seen both, the time decides
    try:
        fresh = recovery_record.encode(
            kind, repository, {**values, "made": str(made), "nonce": secrets.token_hex(16)})
    except RecordTooLong as error:
        raise ServiceFailure("record-too-long", str(error)) from error
    except RecordRefused as error:
        raise ServiceFailure("internal", str(error)) from error
    write_private(path, fresh)
    return Escrowed(Secret(fresh), hashlib.sha256(fresh).hexdigest())


def received(untrusted_record: bytes, repository: Repository) -> RecoveryRecord:
    """Answer a repository's record that came over the wire; raises record-refused for another."""
    try:
        record = recovery_record.parse(untrusted_record)
    except RecordRefused as error:
        raise ServiceFailure("record-refused", str(error)) from error
    if record.kind is not Kind.REPOSITORY or record.repository != repository:
        raise ServiceFailure("record-refused", "it is for another repository than the call")
    return record


def text(file: bytes) -> str:
    """Answer a file of lines as a record spells it; what is no ASCII, the record refuses."""
    return file.strip().decode("ascii", "replace") + "\n"


def _stored(path: Path) -> tuple[Secret, RecoveryRecord] | None:
    """Answer the record that was made before; a damaged one is made anew like none."""
    try:
        data = read_limited(path, recovery_record.RECORD_LIMIT)
        return Secret(data), recovery_record.parse(data)
    except (FileNotFoundError, FileRefused, RecordRefused):
        return None
