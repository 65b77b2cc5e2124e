"""A revoked key: never live again, told from a new one of its name; what may be deleted at all."""

import dataclasses
import os
from pathlib import Path

import pytest

from qborg_maintenance import admin_key, authorized_keys, key_offer, keys, registry, revocation
from qborg_maintenance.registry import DELETED, FROZEN, KEPT, Entry, Registry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished
from qborg_wire.names import Repository
from unit.maintenance.example import MACHINE, SETTINGS

WORK, MAIL = Repository(MACHINE, "work"), Repository(MACHINE, "mail")
# Of an account that cannot be looked into, nothing is asked before a name is free again.
BLIND = dataclasses.replace(SETTINGS, access="borg", keys="awaited")
NOWHERE = dataclasses.replace(SETTINGS, host="127.0.0.1", port="1")


@pytest.fixture(name="state")
def made_state(tmp_path: Path) -> State:
    """Answer the state of a maintenance qube that made keys for two qubes."""
    state = State(tmp_path / "state")
    for repository in (WORK, MAIL):
        keys.make(state, SETTINGS, repository)
        keys.note_birth(state, SETTINGS, repository, "a" * 64)
    return state


def known(state: State) -> Registry:
    """Answer the registry."""
    return registry.load(state, SETTINGS)


def entry(state: State) -> Entry:
    """Answer work's entry."""
    return known(state).repositories[str(WORK)]


def marked(state: State, fate: str | None = None) -> revocation.Revoked:
    """Revoke work's key."""
    return revocation.mark(state, SETTINGS, WORK, fate, delete=False)


def test_a_marked_key_is_live_no_more_and_no_other_is_touched(state: State) -> None:
    before = known(state)

    first, again = marked(state), marked(state)

    assert (first.changed, again.changed, again.key) == (True, False, "unasked")
    assert list(known(state).live()) == [str(MAIL)]
    lines = authorized_keys.as_restricted(known(state).live())
    assert [line.repository for line in lines] == [MAIL]
    assert known(state).repositories == before.repositories
    assert known(state).revoked == (entry(state).fingerprint,)


def test_what_is_not_known_has_no_key_and_nothing_changes(state: State) -> None:
    before = state.registry.read_bytes()

    found = revocation.mark(state, SETTINGS, Repository(MACHINE, "nobody"), FROZEN, delete=True)

    assert (found.entry, found.changed) == (None, False)
    assert state.registry.read_bytes() == before


def test_a_quarantine_is_kept_until_it_is_ended(state: State) -> None:
    fates = [(marked(state, asked).repository, entry(state).fate)
             for asked in (None, FROZEN, None, KEPT)]

    assert fates == [(KEPT, KEPT), (FROZEN, FROZEN), (FROZEN, FROZEN), (KEPT, KEPT)]


def test_nothing_of_a_revoked_key_is_lent(state: State) -> None:
    marked(state)

    with pytest.raises(ServiceFailure) as refused:
        keys.require(state, SETTINGS, WORK)

    assert refused.value.cause == "key-revoked"


def test_keys_are_not_made_again_under_a_revoked_name(state: State) -> None:
    marked(state)

    with pytest.raises(ServiceFailure) as refused:
        keys.make(state, SETTINGS, WORK)

    assert refused.value.cause == "key-revoked"
    assert known(state).live().keys() == {str(MAIL)}


@pytest.mark.parametrize("fate", [KEPT, DELETED])
def test_once_its_name_is_free_it_gets_another_key(state: State, fate: str) -> None:
    marked(state)
    registry.store(state, known(state).with_entry(
        str(WORK), dataclasses.replace(entry(state), fate=fate)))
    old, created = entry(state), entry(state).created

    revocation.make_way(state, BLIND, WORK)
    new, made = keys.make(state, SETTINGS, WORK)

    assert made and new.fingerprint != old.fingerprint
    assert known(state).revoked == (old.fingerprint,)
    assert known(state).live().keys() == {str(MAIL), str(WORK)}
    aside = state.revoked_keys / f"{WORK}.{created}"
    assert "borgpass" in os.listdir(aside) and aside.stat().st_mode & 0o077 == 0


def test_a_quarantine_keeps_its_name(state: State) -> None:
    marked(state, FROZEN)

    with pytest.raises(ServiceFailure, match="in quarantine") as refused:
        revocation.make_way(state, BLIND, WORK)

    assert refused.value.cause == "key-revoked"
    assert entry(state).fate == FROZEN


def test_a_name_is_not_free_as_long_as_the_server_cannot_be_asked(state: State) -> None:
    admin_key.ensure(state, MACHINE)
    marked(state)
    before = state.registry.read_bytes()

    with pytest.raises(ServiceFailure) as refused:
        revocation.make_way(state, NOWHERE, WORK)

    assert refused.value.cause == "server-unreachable"
    assert state.registry.read_bytes() == before


def test_a_live_key_is_not_in_the_way(state: State) -> None:
    before = state.registry.read_bytes()

    revocation.make_way(state, SETTINGS, WORK)
    revocation.make_way(state, SETTINGS, Repository(MACHINE, "nobody"))

    assert state.registry.read_bytes() == before


def test_a_revoked_key_out_of_a_backup_is_not_taken_up(state: State) -> None:
    marked(state)
    registry.store(state, known(state).without_entry(str(WORK)))

    with pytest.raises(ServiceFailure) as refused:
        keys.make(state, SETTINGS, WORK)

    assert refused.value.cause == "key-revoked"


def test_a_deleted_repository_is_in_no_others_way(state: State) -> None:
    marked(state)
    registry.store(state, known(state).with_entry(
        str(WORK), dataclasses.replace(entry(state), fate=DELETED)))

    keys.make(state, SETTINGS, Repository(MACHINE, "Work"))

    assert str(WORK) not in known(state).existing()


REFUSED = {
    "in-quarantine": (SETTINGS, FROZEN, "is in quarantine"),
    "borg-alone": (BLIND, None, "no command that could delete it"),
}


@pytest.mark.parametrize(("settings", "fate", "says"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_be_deleted_is_told_before_anything_changes(
    state: State, settings: registry.Settings, fate: str | None, says: str
) -> None:
    before = state.registry.read_bytes()

    with pytest.raises(ServiceFailure, match=says) as refused:
        revocation.mark(state, settings, WORK, fate, delete=True)

    assert refused.value.cause == "repository-kept"
    assert state.registry.read_bytes() == before


def test_a_key_that_is_not_revoked_is_not_finished(state: State) -> None:
    with pytest.raises(ServiceFailure) as refused:
        revocation.finish(state, NOWHERE, WORK, forget=True, delete=True, works=lambda: None)

    assert refused.value.cause == "bad-request"
    assert keys.require(state, SETTINGS, WORK)


def test_without_a_word_of_the_server_nothing_is_put_away(state: State) -> None:
    marked(state)

    with pytest.raises(ServiceFailure) as refused:
        revocation.finish(state, NOWHERE, WORK, forget=True, delete=True, works=lambda: None)

    assert refused.value.cause == "server-unreachable"
    assert "borgpass" in os.listdir(state.keys_of(WORK))


_DENIED = b"zh1@backup.example: Permission denied (publickey).\n"
_OFFER = b"debug1: Offering public key: /tmp/x/offered ED25519 SHA256:x explicit\n"
_TAKES = _OFFER + b"debug1: Server accepts key: /tmp/x/offered ED25519 SHA256:x explicit\n"
OFFERS = {
    "refused": (255, _OFFER + _DENIED, False),
    "taken": (255, _TAKES + _DENIED, True),
    "let-in-without-any": (0, b"", True),
    "words-of-a-banner": (255, b"Server accepts key: none\n" + _OFFER + _DENIED, False),
}


@pytest.mark.parametrize(("code", "stderr", "taken"), OFFERS.values(), ids=OFFERS)
def test_what_the_server_says_to_an_offered_key(code: int, stderr: bytes, taken: bool) -> None:
    assert key_offer.told(Finished(code, b"", stderr)) is taken


@pytest.mark.parametrize(("stderr", "cause"), [
    (b"Host key verification failed.\n", "host-key-changed"),
    (b"ssh: connect to host backup.example port 22: Connection refused\n", "server-unreachable"),
    (b"", "server-unreachable"),
])
def test_a_server_that_was_not_asked_has_not_refused(stderr: bytes, cause: str) -> None:
    with pytest.raises(ServiceFailure) as failed:
        key_offer.told(Finished(255, b"", stderr))

    assert failed.value.cause == cause
