"""A client's secrets: made once, taken up after a kill, refused when they do not fit."""

import os
import stat
from pathlib import Path

import pytest

from qborg_maintenance import admin_key, keypair, keys, registry
from qborg_maintenance.state import State
from qborg_service import ssh_key
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.example import MACHINE, SETTINGS

WORK = Repository(MACHINE, "work")


@pytest.fixture(name="state")
def fresh_state(tmp_path: Path) -> State:
    """Answer the state of a maintenance qube in which nothing was done yet."""
    return State(tmp_path / "state")


def test_keys_are_made_once(state: State) -> None:
    first, created = keys.make(state, SETTINGS, WORK)
    again, created_again = keys.make(state, SETTINGS, WORK)

    assert (created, created_again) == (True, False)
    assert first == again
    assert first.fingerprint == keypair.fingerprint(first.public_key)


def test_every_secret_file_is_private(state: State) -> None:
    admin_key.ensure(state, MACHINE)
    keys.make(state, SETTINGS, WORK)

    for folder, _folders, files in os.walk(state.root):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in files:
            open_to_others = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o077
            assert not open_to_others or name.endswith(".pub")


def test_two_clients_share_nothing(state: State) -> None:
    mail = Repository(MACHINE, "mail")
    keys.make(state, SETTINGS, WORK)
    keys.make(state, SETTINGS, mail)

    _entry, work_keys = keys.require(state, SETTINGS, WORK)
    _entry, mail_keys = keys.require(state, SETTINGS, mail)
    assert work_keys.passphrase() != mail_keys.passphrase()
    assert work_keys.private_body() != mail_keys.private_body()


def test_keys_of_a_killed_run_are_taken_up(state: State) -> None:
    made, _created = keys.make(state, SETTINGS, WORK)
    state.registry.unlink()

    taken_up, created = keys.make(state, SETTINGS, WORK)

    assert (taken_up.public_key, created) == (made.public_key, True)


def test_a_half_made_folder_is_not_taken_for_keys(state: State) -> None:
    (state.host_keys / ".new.killed").mkdir(parents=True, mode=0o700)

    _entry, created = keys.make(state, SETTINGS, WORK)

    assert created
    assert [path.name for path in state.host_keys.iterdir()] == [str(WORK)]


@pytest.mark.parametrize(
    "name", [Repository("desk", "work"), Repository(MACHINE, "Work")], ids=["computer", "case"]
)
def test_a_name_that_must_not_be_is_refused(state: State, name: Repository) -> None:
    keys.make(state, SETTINGS, WORK)

    with pytest.raises(ServiceFailure) as caught:
        keys.make(state, SETTINGS, name)

    assert caught.value.cause == "bad-request"
    assert not state.keys_of(name).exists()


def test_without_secrets_nothing_is_lent(state: State) -> None:
    with pytest.raises(ServiceFailure) as caught:
        keys.require(state, SETTINGS, WORK)

    assert caught.value.cause == "keys-missing"


def damage_key(folder: Path) -> None:
    """Put another key in the place of the registered one."""
    (folder / "dom-work.openssh").unlink()
    (folder / "dom-work.openssh.pub").unlink()
    ssh_key.make(folder / "dom-work.openssh", "dom-work")


def cut_key(folder: Path) -> None:
    """Leave half of the private key."""
    path = folder / "dom-work.openssh"
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("damage", [damage_key, cut_key])
def test_a_key_that_is_not_the_registered_one_is_not_lent(state: State, damage: object) -> None:
    keys.make(state, SETTINGS, WORK)
    assert callable(damage)
    damage(state.keys_of(WORK))

    with pytest.raises(ServiceFailure) as caught:
        keys.require(state, SETTINGS, WORK)

    assert caught.value.cause == "keys-missing"


@pytest.mark.parametrize("text", [b"", b"short\n", b"x" * 44 + b"\n", b"x" * 42 + b"\xff\n"])
def test_a_damaged_passphrase_is_not_used(state: State, text: bytes) -> None:
    keys.make(state, SETTINGS, WORK)
    (state.keys_of(WORK) / "borgpass").write_bytes(text)
    _entry, lent = keys.require(state, SETTINGS, WORK)

    with pytest.raises(ServiceFailure) as caught:
        lent.passphrase()

    assert caught.value.cause == "keys-missing"


def test_the_admin_key_is_made_once(state: State) -> None:
    assert admin_key.ensure(state, MACHINE) == admin_key.ensure(state, MACHINE)


def test_a_damaged_admin_key_is_told_and_not_replaced(state: State) -> None:
    admin_key.ensure(state, MACHINE)
    state.admin_key.write_bytes(b"damaged\n")

    with pytest.raises(ServiceFailure):
        admin_key.ensure(state, MACHINE)

    assert state.admin_key.read_bytes() == b"damaged\n"


def test_the_registry_of_another_computer_is_refused(state: State) -> None:
    keys.make(state, SETTINGS, WORK)
    state.registry.write_bytes(state.registry.read_bytes().replace(b"ab" * 16, b"cd" * 16))

    with pytest.raises(ServiceFailure) as caught:
        registry.load(state, SETTINGS)

    assert caught.value.cause == "settings-differ"


def test_a_revoked_key_is_not_live(state: State) -> None:
    entry, _created = keys.make(state, SETTINGS, WORK)
    known = registry.load(state, SETTINGS)

    assert known.live() == {"dom-work": (entry.public_key,)}
    revoked = registry.Registry(
        known.machine, known.machine_id, 3, known.repositories, (entry.fingerprint,)
    )
    registry.store(state, revoked)
    assert registry.load(state, SETTINGS).live() == {}
    assert registry.load(state, SETTINGS).epoch == 3


def test_a_quota_is_kept_until_another_is_asked_for(state: State) -> None:
    keys.make(state, SETTINGS, WORK)

    told = [keys.set_quota(state, SETTINGS, WORK, quota).quota
            for quota in ("keep", "50G", "keep", "none", "keep")]

    assert told == ["none", "50G", "50G", "none", "none"]
    assert registry.load(state, SETTINGS).quotas() == {"dom-work": "none"}


@pytest.mark.parametrize(("first", "then"), [
    (registry.MADE, registry.HOST), (registry.HOST, registry.MADE),
])  # fmt: skip
def test_a_qube_and_a_plain_host_share_no_name(state: State, first: str, then: str) -> None:
    keys.make(state, SETTINGS, WORK, first)

    with pytest.raises(ServiceFailure, match="repository-exists"):
        keys.make(state, SETTINGS, WORK, then)
