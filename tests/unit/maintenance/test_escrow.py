"""Records as the keyholder makes them, and what is left of secrets once they are forgotten."""

import dataclasses
import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_maintenance import admin_key, escrow, keypair, keys, registry
from qborg_maintenance.registry import CLIENT, FROZEN, IMPORTED, Entry, Registry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.names import Repository
from unit.maintenance.example import MACHINE, SETTINGS, key

WORK, OWN = Repository(MACHINE, "work"), Repository(MACHINE, "borg-maintenance")
ENTRY = Entry(key(2), keypair.fingerprint(key(2)), 1764000000)
RSA = "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 352
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
    known = registry.load(state, SETTINGS)
    assert registry.of_record(SETTINGS, found.values["registry"], 0) == known


CHANGES: dict[str, dict[str, str]] = {
    "as-made": {}, "a-qubes-own": {"origin": CLIENT, "quota": "50G"},
    "imported": {"origin": IMPORTED, "former": "vm-work", "public_key": RSA},
    "amid-a-rotation": {"origin": CLIENT, "next_key": key(3)},
    "in-quarantine": {"fate": FROZEN},
}  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_registry_comes_back_from_the_accounts_record(changes: dict[str, str]) -> None:
    entry = dataclasses.replace(ENTRY, **changes)
    entry = dataclasses.replace(entry, fingerprint=keypair.fingerprint(entry.public_key))
    known = Registry(MACHINE, "0" * 32, 7, {str(WORK): entry}, (keypair.fingerprint(key(4)),))
    settings = dataclasses.replace(SETTINGS, machine=MACHINE, machine_id="0" * 32)

    assert registry.of_record(settings, known.for_record(), 7) == known


def test_the_accounts_record_leaves_out_what_was_deleted() -> None:
    gone = dataclasses.replace(ENTRY, fate=registry.DELETED)
    known = Registry(MACHINE, "0" * 32, 7, {str(WORK): gone}, (gone.fingerprint,))

    assert json.loads(known.for_record())["repositories"] == {}


@pytest.mark.parametrize("text", ["", "1764000000", f"1764000000 {'A' * 42}", "x " + "A" * 43,
                                  f"1764000000 {'A' * 43} fate", f"1764000000 {'A' * 43} fate=no",
                                  f"1764000000 {'=' * 43}"])  # fmt: skip
def test_a_bent_entry_of_a_record_is_refused(text: str) -> None:
    plain = json.loads(Registry(MACHINE, SETTINGS.machine_id, 7, {}, ()).for_record())

    with pytest.raises(ServiceFailure) as caught:
        registry.of_record(SETTINGS, json.dumps({**plain, "repositories": {str(WORK): text}}), 7)

    assert caught.value.cause == "record-refused"


def _with_many(state: State, count: int) -> None:
    """Have so many qubes in the registry, each its own keyholder."""
    many = {f"{MACHINE}-some-qube{number}": dataclasses.replace(
        ENTRY, public_key=key(number % 250), origin=CLIENT,
        fingerprint=keypair.fingerprint(key(number % 250))) for number in range(count)}
    with state.locked():
        registry.store(state, Registry(MACHINE, SETTINGS.machine_id, 7, many, ()))


def test_the_accounts_record_has_room_for_500_qubes(state: State) -> None:
    _with_many(state, 500)

    known = registry.load(state, SETTINGS)
    assert registry.of_record(SETTINGS, of_account(state).values["registry"], 0) == known


def test_an_account_with_too_many_qubes_says_so(state: State) -> None:
    _with_many(state, 1000)

    with pytest.raises(ServiceFailure) as caught:
        of_account(state)

    assert caught.value.cause == "record-too-long"


def test_an_admin_key_with_lines_of_another_length_is_kept(state: State) -> None:
    """As python-cryptography writes it, and in one line."""
    first, *lines, last = state.admin_key.read_text("ascii").strip().split("\n")
    for width in (76, 9999):
        body = textwrap.wrap("".join(lines), width)
        write_private(state.admin_key, "\n".join((first, *body, last, "")).encode("ascii"))

        kept = of_account(state).values["private_key"]

        assert kept == "\n".join((first, *lines, last, ""))


def test_a_clients_record_takes_the_longest_passphrase_of_an_imported_one(state: State) -> None:
    long = b"x" * 200
    entry, made = keys.require(state, SETTINGS, WORK)
    write_private(made.folder / "borgpass", long)

    kept = escrow.client(SETTINGS, entry, dataclasses.replace(made, imported=True))

    assert recovery_record.parse(kept.data.reveal()).values["passphrase"].encode() == long


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
