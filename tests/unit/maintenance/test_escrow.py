"""Records as the keyholder makes them, and what is left of secrets once they are forgotten."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_maintenance import admin_key, escrow, keys, registry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.names import Repository
from unit.maintenance.example import MACHINE, SETTINGS

WORK, OWN = Repository(MACHINE, "work"), Repository(MACHINE, "borg-maintenance")
EXPORT = b"BORG_KEY " + b"1" * 64 + b"\n" + (b"A" * 60 + b"\n") * 5


@pytest.fixture(name="state")
def state_with_keys(tmp_path: Path) -> State:
    """Answer the state of a maintenance qube with an admin key and one client's secrets."""
    state = State(tmp_path / "state")
    admin_key.ensure(state, MACHINE)
    keys.make(state, SETTINGS, WORK)
    _entry, made = keys.require(state, SETTINGS, WORK)
    write_private(made.export, EXPORT)
    return state


def of_client(state: State) -> recovery_record.RecoveryRecord:
    """Answer the record of work, parsed."""
    made = escrow.client(SETTINGS, *keys.require(state, SETTINGS, WORK))
    return recovery_record.parse(made.data.reveal())


def of_account(state: State, own: Repository = OWN) -> recovery_record.RecoveryRecord:
    """Answer the account's record, parsed."""
    return recovery_record.parse(escrow.account(state, SETTINGS, own).data.reveal())


def test_a_clients_record_holds_what_opens_its_repository(state: State) -> None:
    entry, made = keys.require(state, SETTINGS, WORK)
    found = of_client(state)

    assert (found.kind, found.repository) == (Kind.REPOSITORY, WORK)
    assert found.values["passphrase"].encode() == made.passphrase().reveal()
    assert found.values["private_key"].encode() == made.private.read_bytes()
    assert found.values["public_key"] == entry.public_key
    assert found.values["key_export"].encode() == EXPORT


def test_the_accounts_record_holds_the_admin_key_and_the_registry(state: State) -> None:
    found = of_account(state)

    assert (found.kind, found.repository) == (Kind.ACCOUNT, OWN)
    assert found.values["private_key"].encode() == state.admin_key.read_bytes()
    assert json.loads(found.values["registry"]) == json.loads(state.registry.read_bytes())


@pytest.mark.parametrize("of", [of_client, of_account])
def test_a_record_is_made_once_and_again_when_something_changed(
    state: State, of: Callable[[State], recovery_record.RecoveryRecord]
) -> None:
    first = of(state)
    assert of(state).digest == first.digest

    (state.root / "record").unlink(missing_ok=True)
    (state.keys_of(WORK) / "record").unlink(missing_ok=True)
    assert of(state).digest != first.digest, "a nonce hides what is in it"


def test_a_publication_makes_another_account_record_and_a_later_one(state: State) -> None:
    first = of_account(state)
    known = registry.load(state, SETTINGS)
    with state.locked():
        registry.store(state, dataclasses.replace(known, epoch=known.epoch + 1))

    again = of_account(state)

    assert again.digest != first.digest and again.made > first.made


def test_a_birth_makes_no_other_account_record(state: State) -> None:
    """It comes after the publication, and borg's id is in the repository's own record."""
    first = of_account(state)

    keys.note_birth(state, SETTINGS, WORK, "a" * 64)

    assert of_account(state).digest == first.digest


def test_a_renamed_maintenance_qube_makes_a_record_of_its_own_name(state: State) -> None:
    of_account(state)

    assert of_account(state, Repository(MACHINE, "other")).repository.qube == "other"


@pytest.mark.parametrize("damage", [b"", b"{", b"x" * 70000])
def test_a_damaged_record_is_made_anew(state: State, damage: bytes) -> None:
    of_client(state)
    (state.keys_of(WORK) / "record").write_bytes(damage)

    assert of_client(state).repository == WORK


def test_before_its_birth_a_repository_has_no_record(state: State) -> None:
    keys.require(state, SETTINGS, WORK)[1].export.unlink()

    with pytest.raises(ServiceFailure) as caught:
        of_client(state)

    assert caught.value.cause == "keys-missing"


def test_before_the_admin_key_the_account_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailure) as caught:
        of_account(State(tmp_path / "empty"))

    assert caught.value.cause == "keys-missing"


def test_forgetting_leaves_the_public_key_and_the_registry(state: State) -> None:
    entry, made = keys.require(state, SETTINGS, WORK)
    of_client(state)
    canary = made.passphrase().reveal()

    assert keys.forget(state, SETTINGS, WORK) is True
    assert keys.forget(state, SETTINGS, WORK) is False

    left = [Path(where) / name for where, _folders, names in os.walk(state.root) for name in names]
    assert not [path for path in left if canary in path.read_bytes()]
    assert os.listdir(state.keys_of(WORK)) == [f"{WORK}.openssh.pub"]
    assert keys.make(state, SETTINGS, WORK) == (entry, False)
    assert keys.forgotten(state, WORK)
    with pytest.raises(ServiceFailure) as caught:
        keys.require(state, SETTINGS, WORK)
    assert caught.value.cause == "keys-missing"


def test_a_forgetting_that_was_cut_is_finished_by_the_next_run(state: State) -> None:
    folder = state.keys_of(WORK)
    folder.rename(folder.with_name(f".gone.{WORK}"))

    assert keys.make(state, SETTINGS, WORK)[1] is False

    assert os.listdir(state.host_keys) == [str(WORK)]
    assert os.listdir(folder) == [f"{WORK}.openssh.pub"]


def test_what_was_never_here_cannot_be_forgotten(state: State) -> None:
    with pytest.raises(ServiceFailure) as caught:
        keys.forget(state, SETTINGS, Repository(MACHINE, "other"))

    assert caught.value.cause == "keys-missing"
    assert keys.require(state, SETTINGS, WORK)
