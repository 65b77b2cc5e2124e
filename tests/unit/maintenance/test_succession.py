"""A repository that goes on with another qube's key; the former ones open nothing any more."""

import dataclasses
from pathlib import Path
from unittest.mock import Mock

import pytest

from qborg_maintenance import (
    keypair, keys, registration, registry, repository, revocation, succession,
)
from qborg_maintenance.registry import CLIENT, HOST, IMPORTED, MIXED, Entry, Registry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.example import MACHINE, SETTINGS, forgotten, key

WORK, OFFICE, MAIL = (Repository(MACHINE, name) for name in ("work", "office", "mail"))
ID, NO_SHELL = "a" * 64, dataclasses.replace(SETTINGS, access="borg")


@pytest.fixture(name="moves")
def watched_moves(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Answer what is asked of the server: from where to where."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(succession, "move", lambda _state, _settings, *path: asked.append(path))
    return asked


@pytest.fixture(name="state")
def made_state(tmp_path: Path, moves: list[tuple[str, str]]) -> State:
    """Answer a maintenance qube that has made the keys of work, and forgotten them."""
    assert not moves
    return forgotten(tmp_path / "state", WORK, ID)


def known(state: State) -> Registry:
    """Answer the registry."""
    return registry.load(state, SETTINGS)


def entry(state: State, name: Repository) -> Entry:
    """Answer an entry."""
    return known(state).repositories[str(name)]


def goes_on(state: State, name: Repository, number: int = 4, former: Repository = WORK,
            settings: Settings = SETTINGS) -> bool:
    """Have `former` go on as `name`, with a key."""
    return succession.continue_with(state, settings, name, key(number), former, "")


@pytest.mark.parametrize("name", [WORK, OFFICE], ids=["the-same-name", "another-name"])
def test_the_former_key_is_revoked_at_once_and_all_else_stays(
    state: State, moves: list[tuple[str, str]], name: Repository
) -> None:
    former = entry(state, WORK)

    assert [goes_on(state, name), goes_on(state, name)] == [True, False]

    assert known(state).live() == {str(name): (key(4),)}
    assert known(state).revoked == (former.fingerprint,)
    now = entry(state, name)
    assert (now.origin, now.quota, now.repository_id) == (CLIENT, "50G", ID)
    assert set(moves) == {(WORK.path, name.path)}, "tried again, for a run that was killed"
    assert registration.settle(state, SETTINGS, name, key(4), ID) is False


@pytest.mark.parametrize("origin", [IMPORTED, MIXED])
def test_an_imported_passphrase_stays_one(state: State, origin: str) -> None:
    changed = dataclasses.replace(entry(state, WORK), origin=origin)
    registry.store(state, known(state).with_entry(str(WORK), changed))

    assert goes_on(state, OFFICE)

    assert entry(state, OFFICE).origin == MIXED


@pytest.mark.parametrize("name", [WORK, OFFICE], ids=["the-same-name", "another-name"])
def test_a_try_that_was_lost_with_its_key_is_followed_by_another(
    state: State, name: Repository
) -> None:
    goes_on(state, name, 4)

    assert goes_on(state, name, 5)

    assert known(state).live() == {str(name): (key(5),)}
    assert keypair.fingerprint(key(4)) in known(state).revoked
    with pytest.raises(ServiceFailure) as refused:
        goes_on(state, name, 4)
    assert refused.value.cause == "key-revoked"


@pytest.mark.parametrize("number", [4, 6], ids=["another-key", "the-key-of-the-rotation"])
def test_a_rotation_that_was_never_settled_ends_with_it(state: State, number: int) -> None:
    former = entry(state, WORK)
    registration.register(state, SETTINGS, WORK, key(6))

    assert goes_on(state, WORK, number)

    assert known(state).live() == {str(WORK): (key(number),)}
    gone = {former.fingerprint, keypair.fingerprint(key(6))} - {keypair.fingerprint(key(number))}
    assert set(known(state).revoked) == gone


@pytest.mark.parametrize("fate", [registry.DELETED, registry.KEPT], ids=["here", "by-hand"])
def test_a_name_whose_repository_was_deleted_is_free(
    state: State, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    server = Mock(files=Mock(exists=lambda _path: False))
    for name in ("configured", "living_session"):
        monkeypatch.setattr(revocation, name, lambda *_args: Mock(
            __enter__=lambda _self: server, __exit__=lambda *_args: None))
    gone = keys.make(state, SETTINGS, OFFICE)[0]
    revocation.mark(state, SETTINGS, OFFICE, None, delete=False)
    changed = dataclasses.replace(entry(state, OFFICE), fate=fate)
    registry.store(state, known(state).with_entry(str(OFFICE), changed))

    assert [goes_on(state, OFFICE), goes_on(state, OFFICE)] == [True, False]

    assert known(state).live() == {str(OFFICE): (key(4),)}
    assert gone.fingerprint in known(state).revoked


def test_a_revoked_one_goes_on_under_a_new_key(state: State) -> None:
    revocation.mark(state, SETTINGS, WORK, None, delete=False)

    assert goes_on(state, WORK)

    assert known(state).live() == {str(WORK): (key(4),)}


def test_secrets_that_are_still_here_are_kept_aside(state: State) -> None:
    keys.make(state, SETTINGS, MAIL)

    assert goes_on(state, OFFICE, former=MAIL)

    assert keys.forgotten(state, MAIL)
    kept = [path.name for path in state.revoked_keys.rglob("borgpass")]
    assert kept == ["borgpass"]


@pytest.mark.parametrize("name", [MAIL, OFFICE], ids=["the-same-name", "another-name"])
def test_one_that_only_the_vault_knows_goes_on(
    state: State, moves: list[tuple[str, str]], name: Repository
) -> None:
    assert [goes_on(state, name, former=MAIL), goes_on(state, name, 5, former=MAIL)] == [True, True]

    assert known(state).live()[str(name)] == (key(5),)
    assert known(state).revoked == (keypair.fingerprint(key(4)),)
    now = entry(state, name)
    assert (now.origin, now.former) == (CLIENT, "" if name == MAIL else str(MAIL))
    assert set(moves) == {(MAIL.path, name.path)}


REFUSED = {
    "by-case": (Repository(MACHINE, "WORK"), MAIL, SETTINGS, "bad-request"),
    "another-computers": (Repository("other", "work"), WORK, SETTINGS, "bad-request"),
    "of-another-computer": (OFFICE, Repository("other", "mail"), SETTINGS, "bad-request"),
    "unknown-over-its-own": (Repository(MACHINE, "own"), MAIL, SETTINGS, "repository-exists"),
    "nobody-can-move-an-unknown-one": (OFFICE, MAIL, NO_SHELL, "move-refused"),
    "a-plain-hosts": (OFFICE, Repository(MACHINE, "host"), SETTINGS, "repository-exists"),
    "has-its-own": (Repository(MACHINE, "own"), WORK, SETTINGS, "repository-exists"),
    "frozen": (OFFICE, Repository(MACHINE, "frozen"), SETTINGS, "key-revoked"),
    "nobody-can-move-it": (OFFICE, WORK, NO_SHELL, "move-refused"),
}


@pytest.mark.parametrize(("name", "former", "settings", "cause"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_go_on_changes_nothing(
    state: State, moves: list[tuple[str, str]], name: Repository, former: Repository,
    settings: Settings, cause: str,
) -> None:
    keys.make(state, SETTINGS, Repository(MACHINE, "host"), HOST)
    for other in ("own", "frozen"):
        keys.make(state, SETTINGS, Repository(MACHINE, other))
    revocation.mark(state, SETTINGS, Repository(MACHINE, "frozen"), registry.FROZEN, delete=False)
    before = state.registry.read_bytes()

    with pytest.raises(ServiceFailure) as refused:
        goes_on(state, name, former=former, settings=settings)

    assert refused.value.cause == cause
    assert state.registry.read_bytes() == before and moves == []


@pytest.mark.parametrize(("there", "tried", "refused"), [
    ((WORK, OFFICE), False, "there is a repos/.*-office already"),
    ((OFFICE,), False, ""),
    ((WORK,), True, "repos/.*-work does not become repos/.*-office"),
], ids=["in-the-way", "moved-before", "no-command"])  # fmt: skip
def test_nothing_is_moved_into_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[Repository, ...], tried: bool,
    refused: str,
) -> None:
    server = Mock()
    server.files.exists = lambda path: path in [each.path for each in there]
    server.files.move.return_value = Mock(code=1)
    for name in ("configured", "living_session"):
        monkeypatch.setattr(repository, name, lambda *_args: Mock(
            __enter__=lambda _self: server, __exit__=lambda *_args: None))

    if refused:
        with pytest.raises(ServiceFailure, match=f"'move-refused', '{refused}"):
            repository.move(State(tmp_path), SETTINGS, WORK.path, OFFICE.path)
    else:
        repository.move(State(tmp_path), SETTINGS, WORK.path, OFFICE.path)

    assert server.files.move.called is tried
