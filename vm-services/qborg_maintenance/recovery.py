"""The account out of the vault's record: expected, accepted, then as new as the server's block.

Runs in a new maintenance qube. The gate lets a call through and dom0's note must name it too: one
record, from one vault. The admin key is put there last, so that without it nothing has happened.
"""

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecordRefused, RecoveryRecord
from qborg_maintenance import admin_key, authorized_keys, keypair, private_key, registry
from qborg_maintenance.authorized_keys import Document, KeysRefused, Restricted
from qborg_maintenance.private_key import KeyRefused
from qborg_maintenance.registry import Entry, Registry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_service.secret import Secret
from qborg_wire.names import Repository

_SECONDS = 900.0  # as long as dom0 may need from its note to the vault's call
_LIMIT = 4096


def expect(state: State, wanted: Mapping[str, str]) -> bool:
    """Let in the one record that dom0 tells of; answers whether it came already.

    `wanted`: what `_told` answers of it.
    """
    note = _noted()
    if note.get("wanted") == wanted and note.get("came") and state.admin_key.exists():
        return True
    _note(wanted, came=False)
    return False


def accept(state: State, untrusted_record: bytes, own: Repository, caller: str) -> str:
    """Have the account of a record here, and answer the record's digest.

    `own`: the name of this qube's account. What is here of the same account stays as it is.
    Raises ServiceFailure: record-refused, wrong-caller, settings-differ, account-held; then
    nothing is changed.
    """
    try:
        record = recovery_record.parse(untrusted_record)
        _check(record, own, caller)
        found = private_key.parse(record.values["private_key"].encode("ascii"))
    except (RecordRefused, KeyRefused) as error:
        raise ServiceFailure("record-refused", str(error)) from error
    settings = _settings(record)
    known = registry.of_record(settings, record.values["registry"], int(record.values["epoch"]))
    with state.locked():
        if not state.admin_key.exists():
            _install(state, known, record, untrusted_record)
        elif admin_key.public_key(state) != found.public_key:
            raise ServiceFailure("account-held", "there is another admin key")
    _note(_told(record, caller), came=True)
    return record.digest


def _install(state: State, known: Registry, record: RecoveryRecord, data: bytes) -> None:
    # A registry alone is what a killed call has left; with settings it was in use.
    if state.settings.exists():
        raise ServiceFailure("account-held", "it was set up, and its admin key is lost")
    write_private(state.record, data)
    registry.store(state, known)
    admin_key.put_back(state, Secret(record.values["private_key"].encode("ascii")))


def _check(record: RecoveryRecord, own: Repository, caller: str) -> None:
    """Raise ServiceFailure unless it is the account's record, this qube's, and the expected one."""
    if record.kind is not Kind.ACCOUNT or record.repository != own:
        raise ServiceFailure("record-refused", "it is not the record of this qube's account")
    note = _noted()
    if time.monotonic() > note.get("until", 0.0):
        raise ServiceFailure("wrong-caller", "no record is expected")
    told = _told(record, caller)
    differ = [key for key in told if told[key] != note["wanted"].get(key)]
    if "vault" in differ:
        raise ServiceFailure("wrong-caller", f"no record is expected from {caller}")
    if differ:
        raise ServiceFailure("record-refused", f"another {', '.join(differ)} than was expected")


def _told(record: RecoveryRecord, caller: str) -> dict[str, str]:
    settings = _settings(record)
    names = ("machine", "machine_id", "host", "port", "account")
    return {name: getattr(settings, name) for name in names} | {
        "host_key": settings.fingerprint, "vault": caller, "record": record.digest,
    }  # fmt: skip


def _settings(record: RecoveryRecord) -> Settings:
    names = ("machine_id", "host", "port", "account", "host_key", "remote_borg")
    return Settings(record.repository.machine, *(record.values[name] for name in names))


def _path() -> Path:
    return volatile.folder() / "expected.json"


def _note(wanted: Mapping[str, str], *, came: bool) -> None:
    note = {"wanted": wanted, "came": came, "until": time.monotonic() + _SECONDS}
    write_private(_path(), json.dumps(note).encode("ascii"))


def _noted() -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads(read_limited(_path(), _LIMIT))
    except (FileNotFoundError, FileRefused, ValueError):
        return {}
    return note


def with_block(
    state: State, settings: Settings, known: Registry, document: Document
) -> Registry:
    """Answer the registry; one that came out of a record is first made as new as the server's.

    That is one before there are settings: they are stored once this has been. The caller holds
    the lock. Raises publish-refused for a block that cannot be read.
    """
    if document.epoch is None or state.settings.exists() or not state.registry.exists():
        return known
    try:
        lines = authorized_keys.listed(document, settings.machine)
    except KeysRefused as error:
        raise ServiceFailure("publish-refused", str(error)) from error
    merged = merge(known, document.epoch, lines, int(time.time()))
    if merged != known:
        registry.store(state, merged)
    return merged


def merge(known: Registry, epoch: int, lines: Sequence[Restricted], now: int) -> Registry:
    """Answer the registry with the block of EPOCH: the next publication drops no line of it.

    What a later block than the registry's does not hold was revoked between the two; a revoked
    key does not come back with an older block.
    """
    entries, revoked, taken = dict(known.repositories), set(known.revoked), set[str]()
    newer = epoch > known.epoch
    for line in lines:
        name, seen = str(line.repository), keypair.fingerprint(line.public_key)
        if seen in known.revoked or name in known.repositories and not newer:
            continue
        entry = entries.get(name)
        if name in taken and entry is not None:  # its rotation is under way
            entries[name] = dataclasses.replace(entry, next_key=line.public_key)
            continue
        if entry is None or entry.fingerprint != seen:
            entry = Entry(line.public_key, seen, now)
        entries[name] = dataclasses.replace(entry, quota=line.quota, next_key="")
        taken.add(name)
    if newer:
        there = {keypair.fingerprint(line.public_key) for line in lines}
        revoked |= {keypair.fingerprint(key) for entry in known.repositories.values()
                    for key in entry.keys()} - there
    return dataclasses.replace(
        known, epoch=max(known.epoch, epoch), repositories=entries,
        revoked=(*known.revoked, *sorted(revoked - set(known.revoked))),
    )
