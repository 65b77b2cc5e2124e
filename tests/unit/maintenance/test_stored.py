"""What the maintenance qube keeps for itself: a damaged file is told, nothing of it is used."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qborg_maintenance import keypair, registry, settings
from qborg_maintenance.registry import Entry, Registry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from unit.maintenance.example import MACHINE, MACHINE_ID, OTHER_ID, SETTINGS, key

WORK = Entry(key(2), keypair.fingerprint(key(2)), 1760000000)
REGISTRY = Registry(MACHINE, MACHINE_ID, 7, {"dom-work": WORK}, (keypair.fingerprint(key(3)),))
Change = Callable[[Any], object]


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    state = State(tmp_path)
    settings.store(state, SETTINGS)
    registry.store(state, REGISTRY)

    assert settings.load(state) == SETTINGS
    assert registry.load(state, SETTINGS) == REGISTRY


def test_a_registry_of_before_quotas_is_read(tmp_path: Path) -> None:
    state = State(tmp_path)
    registry.store(state, REGISTRY)
    stored = json.loads(state.registry.read_bytes())
    for name in ("quota", "origin", "former", "repository_id", "fate"):
        del stored["repositories"]["dom-work"][name]
    state.registry.write_text(json.dumps(stored), encoding="ascii")

    assert registry.load(state, SETTINGS) == REGISTRY


@pytest.mark.parametrize(("name", "value"), [
    ("quota", "9M"), ("quota", "50G --x"), ("quota", 7), ("origin", "vault"), ("former", "../x"),
    ("former", None), ("repository_id", "A" * 64), ("repository_id", 7), ("fate", "gone"),
    ("fate", ""),
])  # fmt: skip
def test_a_registry_with_another_word_is_damaged(
    tmp_path: Path, name: str, value: object
) -> None:
    state = State(tmp_path)
    registry.store(state, REGISTRY)
    stored = json.loads(state.registry.read_bytes())
    stored["repositories"]["dom-work"][name] = value
    state.registry.write_text(json.dumps(stored), encoding="ascii")

    with pytest.raises(ServiceFailure, match="registry.json in that qube is damaged"):
        registry.load(state, SETTINGS)


def test_settings_of_an_older_set_up_are_read(tmp_path: Path) -> None:
    state, found = State(tmp_path), dataclasses.asdict(SETTINGS)
    for key in ("access", "keys", "snapshots"):
        del found[key]
    state.settings.write_text(json.dumps(found))

    loaded = settings.load(state)

    assert loaded == dataclasses.replace(
        SETTINGS, access="shell", keys="ours", snapshots="unknown")


def test_before_the_set_up_there_is_nothing(tmp_path: Path) -> None:
    state = State(tmp_path)

    assert settings.load(state) is None
    assert registry.load(state, SETTINGS) == Registry(MACHINE, MACHINE_ID, 0, {}, ())


NO_JSON = {
    "empty": b"", "cut": b'{"machine": "dom"', "null": b"null", "list": b"[]", "number": b"7",
    "nested": b"[" * 9000, "not-utf-8": b'{"machine": "\xff"}', "too-long": b" " * (5 << 20),
}  # fmt: skip


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
def test_a_file_that_is_no_json_is_damaged(tmp_path: Path, data: bytes) -> None:
    state = State(tmp_path)
    state.settings.write_bytes(data)
    state.registry.write_bytes(data)

    with pytest.raises(ServiceFailure, match="settings.json in that qube is damaged"):
        settings.load(state)
    with pytest.raises(ServiceFailure, match="registry.json in that qube is damaged"):
        registry.load(state, SETTINGS)


SETTINGS_BENT: dict[str, Change] = {
    "key-missing": lambda found: found.pop("port"),
    "key-more": lambda found: found.update(program="id"),
    "port-number": lambda found: found.update(port=22),
    "host-option": lambda found: found.update(host="-oProxyCommand=id"),
    "host-newline": lambda found: found.update(host="a\nProxyCommand id"),
    "machine-dash": lambda found: found.update(machine="a-b"),
    "program-path": lambda found: found.update(remote_borg="/bin/sh"),
    "access-unknown": lambda found: found.update(access="root"),
    "keys-unknown": lambda found: found.update(keys="none"),
    "snapshots-flag": lambda found: found.update(snapshots=True),
    "key-not-base64": lambda found: found.update(host_key="ssh-rsa AAAAB3NzaC1yc2EA" + "b" * 301),
}


@pytest.mark.parametrize("change", SETTINGS_BENT.values(), ids=SETTINGS_BENT)
def test_bent_settings_are_refused(tmp_path: Path, change: Change) -> None:
    state, found = State(tmp_path), dataclasses.asdict(SETTINGS)
    change(found)
    state.settings.write_text(json.dumps(found))

    with pytest.raises(ServiceFailure) as refused:
        settings.load(state)

    assert (refused.value.cause, refused.value.detail) == (
        "settings-differ", "settings.json in that qube is damaged")


REGISTRY_BENT: dict[str, Change] = {
    "key-missing": lambda found: found.pop("epoch"),
    "epoch-text": lambda found: found.update(epoch="7"),
    "epoch-true": lambda found: found.update(epoch=True),
    "epoch-negative": lambda found: found.update(epoch=-1),
    "name-climbs": lambda found: found.update(repositories={"../work": vars(WORK)}),
    "entry-cut": lambda found: found["repositories"]["dom-work"].pop("created"),
    "entry-list": lambda found: found.update(repositories={"dom-work": []}),
    "options": lambda found: found["repositories"]["dom-work"].update(
        public_key='command="id" ' + key(2)),
    "other-fingerprint": lambda found: found["repositories"]["dom-work"].update(
        fingerprint=keypair.fingerprint(key(4))),
    "revoked-text": lambda found: found.update(revoked="SHA256"),
    "revoked-number": lambda found: found.update(revoked=[1]),
}


@pytest.mark.parametrize("change", REGISTRY_BENT.values(), ids=REGISTRY_BENT)
def test_a_bent_registry_is_refused(tmp_path: Path, change: Change) -> None:
    state = State(tmp_path)
    found = json.loads(json.dumps(dataclasses.asdict(REGISTRY)))
    change(found)
    state.registry.write_text(json.dumps(found))

    with pytest.raises(ServiceFailure) as refused:
        registry.load(state, SETTINGS)

    assert (refused.value.cause, refused.value.detail) == (
        "settings-differ", "registry.json in that qube is damaged")


def test_another_computers_registry_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path)
    registry.store(state, dataclasses.replace(REGISTRY, machine_id=OTHER_ID))

    with pytest.raises(ServiceFailure, match="another computer's"):
        registry.load(state, SETTINGS)


@pytest.mark.parametrize(("published", "stale"), [
    (None, False), (0, False), (6, False), (7, False), (8, True), (10**8, True),
])
def test_a_registry_is_stale_only_where_a_newer_one_published(
    published: int | None, stale: bool
) -> None:
    known = Registry(MACHINE, MACHINE_ID, 7, {}, ())

    if not stale:
        registry.check_epoch(known, published)
        return
    with pytest.raises(ServiceFailure, match="newer registry") as refused:
        registry.check_epoch(known, published)
    assert refused.value.cause == "registry-stale"
