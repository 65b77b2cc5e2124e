"""Rendering: what leaves the maintenance qube is what the client accepts."""

from pathlib import Path

import jinja2
import pytest

from qborg_borg import recovery_record
from qborg_borg.bundle import KEY_FILE, match_bundle, minute_of
from qborg_borg.key_export import KEYFILE
from qborg_maintenance import escrow, keys, render, setup
from qborg_maintenance import repository as repository_module
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.names import Repository
from unit.borg.bundles import BORG_KEY, KEY_SLOTS
from unit.maintenance.example import MACHINE, SETTINGS


@pytest.mark.parametrize("qube", ["work", "a.b-c_D.9", "W" * 31])
def test_the_client_accepts_what_is_rendered(tmp_path: Path, qube: str) -> None:
    state, repository = State(tmp_path / "state"), Repository(MACHINE, qube)
    entry, _created = keys.make(state, SETTINGS, repository)
    _entry, lent = keys.require(state, SETTINGS, repository)

    record, digest = render.bundle(SETTINGS, entry, lent)

    bundle = match_bundle(record.reveal(), qube)
    assert bundle.digest == digest
    assert bundle.passphrase == lent.passphrase()
    assert bundle.public_key == entry.public_key
    assert bundle.files[f"{repository}.openssh"] == lent.private.read_bytes()
    assert bundle.files[f"{repository}.openssh.pub"] == (
        lent.private.with_name(f"{repository}.openssh.pub").read_bytes()
    )


def test_the_same_keys_give_the_same_bundle(tmp_path: Path) -> None:
    state, repository = State(tmp_path / "state"), Repository(MACHINE, "work")
    lent = (keys.make(state, SETTINGS, repository)[0], keys.require(state, SETTINGS, repository)[1])

    assert render.bundle(SETTINGS, *lent)[1] == render.bundle(SETTINGS, *lent)[1]


def test_a_key_file_goes_along(tmp_path: Path) -> None:
    state, repository = State(tmp_path / "state"), Repository(MACHINE, "work")
    entry, _created = keys.make(state, SETTINGS, repository)
    _entry, lent = keys.require(state, SETTINGS, repository)
    export = f"BORG_KEY {KEY_SLOTS['repository_id']}\n{BORG_KEY}\n".encode()
    write_private(lent.key_file, b"as borg has it")
    repository_module.keep(lent, export, created=True)

    record, _digest = render.bundle(SETTINGS, entry, lent)

    bundle = match_bundle(record.reveal(), "work")
    assert bundle.encryption == KEYFILE and bundle.files[KEY_FILE] == export
    made = recovery_record.parse(escrow.client(SETTINGS, entry, lent).data.reveal())
    assert made.values["encryption"] == KEYFILE
    assert made.values["key_export"].encode() == export


def test_a_slot_without_value_is_a_fault() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.fill({"file": "{{ host }}"}, {"port": "22"})


BAD = {
    "host-line": {"host": "a\nProxyCommand id"},
    "template-in-a-value": {"host": "{{ passphrase }}"},
    "port": {"port": "70000"},
    "borg": {"remote_borg": "borg14; id"},
    "account": {"account": "a b"},
    "host-key": {"host_key": "ssh-dss AAAA"},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_a_malformed_value_is_not_rendered(values: dict[str, str]) -> None:
    with pytest.raises(ServiceFailure) as caught:
        render.fill({"file": "x"}, values)

    assert caught.value.cause == "internal"
    assert not set(values.values()) & set(caught.value.detail.split())


def test_minutes_are_spread_and_stable() -> None:
    minutes = {minute_of(Repository("dom", f"qube{number}")) for number in range(600)}

    assert len(minutes) > 50
    assert all(0 <= int(minute) < 60 for minute in minutes)
    assert minute_of(Repository("dom", "work")) == minute_of(Repository("dom", "work"))


def test_the_list_of_occupied_names_fits_its_field() -> None:
    assert setup.listed(()) == "none"
    assert setup.listed(("dom-a", "dom-b")) == "dom-a dom-b"
    assert len(setup.listed(["dom-" + "a" * 31] * 200)) <= 2000


def test_settings_of_another_place_differ() -> None:
    other = Settings(**{**vars(SETTINGS), "account": "zz9999"})

    assert not SETTINGS.same_place(other)
    assert SETTINGS.same_place(Settings(**{**vars(SETTINGS), "remote_borg": "borg12"}))
