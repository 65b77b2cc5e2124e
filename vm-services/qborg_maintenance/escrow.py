"""The recovery records, each made once and again only when something in it changed.

Runs in the maintenance qube. A record is written down before it is sent, so that a killed run
sends the very same bytes again and the vault keeps one version of them.
"""

import dataclasses
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecordRefused, RecoveryRecord
from qborg_maintenance import private_key, registry
from qborg_maintenance.keys import ClientKeys
from qborg_maintenance.registry import Entry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_service.secret import Secret
from qborg_wire.names import Repository

_KEY_LIMIT, _EXPORT_LIMIT = 8192, 16384


@dataclass(frozen=True)
class Escrowed:
    """A record's bytes and their sha256 in hex."""

    data: Secret
    digest: str


def client(settings: Settings, entry: Entry, keys: ClientKeys) -> Escrowed:
    """Answer a client's record as it lies here, made anew if it does not say what is so.

    Raises keys-missing before the repository's birth, whose key belongs into it.
    """
    try:
        export = read_limited(keys.export, _EXPORT_LIMIT)
    except FileNotFoundError as error:
        raise ServiceFailure("keys-missing", f"{keys.repository}: it has no key yet") from error
    private = read_limited(keys.private, _KEY_LIMIT)
    return _record(Kind.REPOSITORY, keys.repository, keys.record, _server(settings) | {
        "encryption": "repokey-blake2",
        "passphrase": keys.passphrase().reveal().decode("ascii"),
        "private_key": _text(private),
        "public_key": entry.public_key,
        "key_export": _text(export),
    })  # fmt: skip


def account(state: State, settings: Settings, own: Repository) -> Escrowed:
    """Answer the account's record: the admin key, and all that this qube knows.

    Raises keys-missing before there is an admin key.
    """
    with state.locked():
        known = registry.load(state, settings)
        try:
            private = read_limited(state.admin_key, private_key.LIMIT)
        except FileNotFoundError as error:
            raise ServiceFailure("keys-missing", "there is no admin key yet") from error
        plain = dataclasses.asdict(known.without_births())
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return _record(Kind.ACCOUNT, own, state.record, _server(settings) | {
            "machine_id": settings.machine_id,
            "epoch": str(known.epoch),
            "private_key": _text(private),
            "registry": f"{text}\n",
        })  # fmt: skip


def _text(file: bytes) -> str:
    """Answer a file of lines as a record spells it; what is no ASCII, the record refuses."""
    return file.strip().decode("ascii", "replace") + "\n"


def _server(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name)
            for name in ("host", "port", "account", "host_key", "remote_borg")}


def _record(
    kind: Kind, repository: Repository, path: Path, values: Mapping[str, str]
) -> Escrowed:
    made, stored = int(time.time()), _stored(path)
    if stored is not None:
        data, known = stored
        same = all(known.values[name] == value for name, value in values.items())
        if same and known.repository == repository:
            return Escrowed(data, known.digest)
        made = max(made, known.made + 1)  # the vault takes none that says it is older
    try:
        fresh = recovery_record.encode(
            kind, repository, {**values, "made": str(made), "nonce": secrets.token_hex(16)})
    except RecordRefused as error:
        raise ServiceFailure("internal", str(error)) from error
    write_private(path, fresh)
    return Escrowed(Secret(fresh), hashlib.sha256(fresh).hexdigest())


def _stored(path: Path) -> tuple[Secret, RecoveryRecord] | None:
    """Answer the record that was made before; a damaged one is made anew like none."""
    try:
        data = read_limited(path, recovery_record.RECORD_LIMIT)
        return Secret(data), recovery_record.parse(data)
    except (FileNotFoundError, FileRefused, RecordRefused):
        return None
