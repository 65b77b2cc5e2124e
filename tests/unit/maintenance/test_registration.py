"""The key that a client made: beside the former one, then alone; the former one is revoked."""

import dataclasses
from pathlib import Path

import pytest

from qborg_maintenance import (
    admin_key, awaited, key_offer, keypair, keys, registration, registry, revocation,
)
from qborg_maintenance.registry import CLIENT, IMPORTED, MADE, MIXED, Entry, Registry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.example import MACHINE, SETTINGS, key

WORK, MAIL = Repository(MACHINE, "work"), Repository(MACHINE, "mail")
AWAITED = dataclasses.replace(SETTINGS, keys="awaited", access="borg")
ID = "a" * 64


@pytest.fixture(name="state")
def made_state(tmp_path: Path) -> State:
    """Answer a maintenance qube that made the keys of mail and has forgotten them."""
    state = State(tmp_path / "state")
    admin_key.ensure(state, MACHINE)
    keys.make(state, SETTINGS, MAIL)
    keys.forget(state, SETTINGS, MAIL)
    return state


def known(state: State) -> Registry:
    """Answer the registry."""
    return registry.load(state, SETTINGS)


def entry(state: State, repository: Repository = WORK) -> Entry:
    """Answer an entry."""
    return known(state).repositories[str(repository)]


def registers(state: State, number: int, repository: Repository = WORK) -> bool:
    """Register a key."""
    return registration.register(state, SETTINGS, repository, key(number))


def settles(state: State, number: int, repository: Repository = WORK, born: str = ID) -> bool:
    """Settle a key."""
    return registration.settle(state, SETTINGS, repository, key(number), born)


def test_a_first_key_is_live_and_once_settled_its_birth_is_known(state: State) -> None:
    assert [registers(state, 4)] == [True]
    assert known(state).live()[str(WORK)] == (key(4),)
    assert (entry(state).origin, entry(state).repository_id) == (CLIENT, "")

    assert [settles(state, 4), settles(state, 4)] == [True, False]
    assert entry(state).repository_id == ID and known(state).revoked == ()
    assert not registers(state, 4)


@pytest.mark.parametrize("repository", [WORK, MAIL], ids=["made-there", "made-here-once"])
def test_a_next_key_is_live_beside_the_former_and_then_alone(
    state: State, repository: Repository
) -> None:
    if repository == WORK:
        registers(state, 4)
        settles(state, 4)
    former = entry(state, repository)
    assert [registers(state, 5, repository), registers(state, 5, repository)] == [True, False]
    assert known(state).live()[str(repository)] == (former.public_key, key(5))

    assert [settles(state, 5, repository), settles(state, 5, repository)] == [True, False]

    assert known(state).live()[str(repository)] == (key(5),)
    assert known(state).revoked == (former.fingerprint,)
    assert entry(state, repository).fingerprint == keypair.fingerprint(key(5))


# Of what, whether the passphrase is new too, and of what it is then.
SETTLED = {
    "made": (MADE, False, CLIENT), "made-both": (MADE, True, CLIENT),
    "imported": (IMPORTED, False, MIXED), "imported-both": (IMPORTED, True, CLIENT),
    "mixed": (MIXED, False, MIXED), "mixed-both": (MIXED, True, CLIENT),
}


@pytest.mark.parametrize(("origin", "renewed", "then"), SETTLED.values(), ids=SETTLED)
def test_what_was_imported_is_leaked_until_both_are_new(
    state: State, origin: str, renewed: bool, then: str
) -> None:
    changed = dataclasses.replace(entry(state, MAIL), origin=origin, repository_id=ID)
    registry.store(state, known(state).with_entry(str(MAIL), changed))
    registers(state, 5, MAIL)
    assert entry(state, MAIL).origin == origin, "the former one is live"

    for _again in range(2):
        registration.settle(state, SETTINGS, MAIL, key(5), ID, renewed=renewed)

    assert entry(state, MAIL).origin == then


def test_a_try_that_was_given_up_never_becomes_live_again(state: State) -> None:
    registers(state, 4)
    settles(state, 4)
    registers(state, 5)
    registers(state, 6)

    assert known(state).live()[str(WORK)] == (key(4), key(6))
    with pytest.raises(ServiceFailure) as refused:
        registers(state, 5)
    assert refused.value.cause == "key-revoked"
    with pytest.raises(ServiceFailure) as refused:
        settles(state, 5)
    assert refused.value.cause == "keys-missing"


def test_a_birth_that_was_told_of_is_known_before_the_key_is_settled(state: State) -> None:
    registers(state, 4)

    told = [registration.register(state, SETTINGS, WORK, key(4), ID) for _again in range(2)]

    assert told == [True, False] and entry(state).repository_id == ID
    registration.register(state, SETTINGS, WORK, key(5), "b" * 64)
    assert entry(state).repository_id == ID, "the first one stays"


def test_a_former_key_cannot_come_back(state: State) -> None:
    for number in (4, 5):
        registers(state, number)
        settles(state, number)

    with pytest.raises(ServiceFailure) as refused:
        registers(state, 4)

    assert refused.value.cause == "key-revoked"


@pytest.mark.parametrize("stage", [registers, settles])
def test_nothing_is_registered_for_a_revoked_key(state: State, stage: object) -> None:
    registers(state, 4)
    settles(state, 4)
    registers(state, 5)
    revocation.mark(state, SETTINGS, WORK, None, delete=False)
    before = state.registry.read_bytes()

    for number in (4, 5, 6):
        with pytest.raises(ServiceFailure):
            stage(state, number)  # type: ignore[operator]

    assert state.registry.read_bytes() == before
    assert {keypair.fingerprint(key(number)) for number in (4, 5)} <= set(known(state).revoked)


REFUSED = {
    "another-computers": (Repository("other", "work"), "bad-request"),
    "by-case": (Repository(MACHINE, "Mail"), "bad-request"),
    "plain-host": (Repository(MACHINE, "host"), "repository-exists"),
    "secrets-here": (Repository(MACHINE, "kept"), "bad-request"),
}


@pytest.mark.parametrize(("repository", "cause"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_be_registered_changes_nothing(
    state: State, repository: Repository, cause: str
) -> None:
    keys.make(state, SETTINGS, Repository(MACHINE, "host"), registry.HOST)
    keys.make(state, SETTINGS, Repository(MACHINE, "kept"), MADE)
    before = state.registry.read_bytes()

    with pytest.raises(ServiceFailure) as refused:
        registers(state, 7, repository)

    assert refused.value.cause == cause
    assert state.registry.read_bytes() == before


@pytest.mark.parametrize("whose", ["admin", "former", "next"])
def test_a_key_of_somebody_else_is_refused_and_stops_no_publication(
    state: State, whose: str
) -> None:
    registration.register(state, SETTINGS, MAIL, key(5))
    keys_of = {"admin": admin_key.public_key(state), "former": entry(state, MAIL).public_key,
               "next": key(5)}
    before = state.registry.read_bytes()

    with pytest.raises(ServiceFailure) as refused:
        registration.register(state, SETTINGS, WORK, keys_of[whose])

    assert refused.value.cause == "key-in-use"
    assert state.registry.read_bytes() == before


@pytest.mark.parametrize("text", [
    "ssh-ed25519 AAA", "ssh-ed25519 !", "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 360])
def test_what_is_no_key_is_refused(state: State, text: str) -> None:
    with pytest.raises(ServiceFailure) as refused:
        registration.register(state, SETTINGS, WORK, text)

    assert refused.value.cause == "bad-request"


@pytest.mark.parametrize("taken", [True, False])
def test_a_key_whose_secrets_are_elsewhere_is_offered_to_a_list_that_is_not_ours(
    state: State, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(key_offer, "is_taken", lambda _settings, key: asked.append(key) or taken)
    registration.register(state, AWAITED, WORK, key(4))
    registration.register(state, AWAITED, MAIL, key(5))

    tries: list[str] = []
    waiting = awaited.lacking(
        state, AWAITED, [str(WORK), str(MAIL)], lambda: tries.append(str(len(asked))))

    assert waiting == (() if taken else (str(WORK), str(MAIL)))
    assert asked == [key(4), key(5)], "of a rotation the next one"
    assert tries == ["0", "1"], "each is told of before it is tried"
