"""A repository that is replaced: its key revoked at once, itself moved aside, and nothing else."""

import dataclasses
from pathlib import Path
from unittest.mock import Mock

import pytest

from qborg_maintenance import (
    keypair, keys, registration, registry, replacement, repository, revocation,
)
from qborg_maintenance.registry import CLIENT, DELETED, HOST, KEPT, Entry, Registry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.directory import WAYS, Account
from unit.maintenance.example import MACHINE, SETTINGS, forgotten, key

WORK, FORMER, OTHER = (Repository(MACHINE, name) for name in ("work", "work.former1", "other"))
OLD, NEW, FOREIGN = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(name="account", params=WAYS)
def made_account(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Account:
    """An account in a directory of this machine, with work's repository."""
    account = Account(tmp_path / "account")
    server = Mock(files=WAYS[request.param](account))
    for module in (replacement, repository):
        for name in ("configured", "living_session"):
            monkeypatch.setattr(module, name, lambda *_args: Mock(
                __enter__=lambda _self: server, __exit__=lambda *_args: None))
    lies(account, WORK, OLD)
    return account


@pytest.fixture(name="state")
def made_state(tmp_path: Path) -> State:
    """Answer a maintenance qube that has made the keys of work, and forgotten them."""
    return forgotten(tmp_path / "state", WORK, OLD)


def lies(account: Account, name: Repository, borg_id: str, archives: bool = True) -> None:
    """Have a repository there."""
    place = account.home / name.path
    place.mkdir(parents=True)
    (place / "config").write_text(f"[repository]\nversion = 1\nid = {borg_id}\n")
    if archives:
        (place / "transactions").touch()


def there(account: Account) -> dict[str, str]:
    """Answer the ids of what lies there, by their names."""
    return {path.parent.name.partition("-")[2].partition("-")[0]: path.read_text().split()[-1]
            for path in sorted(account.home.glob("repos/*/config"))}


def known(state: State) -> Registry:
    """Answer the registry."""
    return registry.load(state, SETTINGS)


def entry(state: State, name: Repository) -> Entry:
    """Answer an entry."""
    return known(state).repositories[str(name)]


def begins(state: State, number: int = 4, name: Repository = WORK, former: Repository = FORMER,
           born: str = OLD, settings: Settings = SETTINGS) -> bool:
    """Have work replaced, with a key."""
    return replacement.begin(state, settings, name, key(number), former, born)


def makes_room(state: State) -> bool:
    """Have the former one moved."""
    return replacement.make_room(state, SETTINGS, WORK, FORMER)


def refuses(state: State, cause: str, **given: int | str | Repository) -> None:
    """Have it refused, with nothing changed."""
    before = state.registry.read_bytes()
    with pytest.raises(ServiceFailure) as refused:
        begins(state, **given)  # type: ignore[arg-type]
    assert refused.value.cause == cause and state.registry.read_bytes() == before


def test_the_former_one_is_a_gone_qubes_and_its_key_is_revoked(state: State) -> None:
    former = entry(state, WORK)

    assert [begins(state), begins(state)] == [True, False]

    assert known(state).live() == {str(WORK): (key(4),)}
    assert known(state).revoked == (former.fingerprint,)
    assert entry(state, FORMER) == former and entry(state, FORMER).fate == KEPT
    now = entry(state, WORK)
    assert (now.origin, now.quota, now.repository_id) == (CLIENT, "50G", "")
    found = revocation.mark(state, SETTINGS, FORMER, None, delete=False)
    assert (found.entry, found.changed) == (former, False)


def test_it_is_moved_and_the_new_one_is_noted_and_never_moved(
    state: State, account: Account
) -> None:
    begins(state)

    assert [makes_room(state), makes_room(state)] == [True, False]
    assert there(account) == {"work.former1": OLD}
    lies(account, WORK, NEW)
    assert not makes_room(state), "a kill before its id was noted"
    assert begins(state, born=NEW) and not begins(state, born=NEW)
    assert entry(state, WORK).repository_id == NEW and not makes_room(state)
    assert there(account) == {"work": NEW, "work.former1": OLD}
    assert registration.settle(state, SETTINGS, WORK, key(4), NEW)
    assert not begins(state, born=NEW), "a kill after the end"
    assert entry(state, FORMER).repository_id == OLD


def test_what_a_cut_birth_left_makes_room_too(state: State, account: Account) -> None:
    begins(state)
    makes_room(state)
    lies(account, WORK, NEW, archives=False)

    makes_room(state)

    names = [path.name for path in (account.home / "repos").iterdir()]
    assert str(WORK) not in names and str(FORMER) in names and len(names) == 2


def test_a_key_that_was_lost_before_the_birth_is_followed_by_another(state: State) -> None:
    begins(state)

    assert begins(state, 5)

    assert known(state).live() == {str(WORK): (key(5),)}
    assert keypair.fingerprint(key(4)) in known(state).revoked
    assert entry(state, FORMER).repository_id == OLD
    refuses(state, "key-revoked", number=4)


def test_a_rotation_that_was_never_settled_ends_with_it(state: State) -> None:
    registration.register(state, SETTINGS, WORK, key(6))

    begins(state)

    assert keypair.fingerprint(key(6)) in known(state).revoked
    assert entry(state, FORMER).next_key == ""


def test_it_can_be_replaced_again(state: State, account: Account) -> None:
    begins(state)
    makes_room(state)
    lies(account, WORK, NEW)
    begins(state, born=NEW)
    registration.settle(state, SETTINGS, WORK, key(4), NEW)
    second = Repository(MACHINE, "work.former2")

    assert begins(state, 5, former=second, born=NEW)
    assert replacement.make_room(state, SETTINGS, WORK, second)

    assert there(account) == {"work.former1": OLD, "work.former2": NEW}
    assert known(state).live() == {str(WORK): (key(5),)}


def test_an_id_that_is_not_known_here_is_dom0s(state: State) -> None:
    keys.note_birth(state, SETTINGS, WORK, "")
    refuses(state, "move-refused", born="")

    begins(state)

    assert entry(state, FORMER).repository_id == OLD


@pytest.mark.parametrize("lost", ["begun", "moved", "born", "born-and-damaged", "damaged"])
def test_after_a_recovery_the_ids_are_those_that_they_were(
    state: State, account: Account, lost: str
) -> None:
    begins(state)
    if lost != "begun":
        makes_room(state)
    if lost.startswith("born"):
        lies(account, WORK, NEW)
    for name in (WORK, FORMER):  # the account's record has none
        keys.note_birth(state, SETTINGS, name, "")
    if lost.endswith("damaged"):
        (account.home / FORMER.path / "config").write_text("")
        refuses(state, "move-refused", born=NEW)
        return

    told = NEW if lost == "born" else OLD
    assert [begins(state, born=told), begins(state, born=told)] == [True, False]
    assert makes_room(state) == (lost == "begun")
    if lost != "born":
        lies(account, WORK, NEW)
        assert begins(state, born=NEW) and entry(state, FORMER).repository_id == OLD
    assert entry(state, WORK).repository_id == NEW
    assert there(account) == {"work": NEW, "work.former1": OLD}


def test_secrets_that_are_still_here_are_kept_aside(state: State) -> None:
    keys.make(state, SETTINGS, OTHER)

    begins(state, name=OTHER, former=Repository(MACHINE, "other.former1"))

    assert keys.forgotten(state, OTHER)
    assert [path.name for path in state.revoked_keys.rglob("borgpass")] == ["borgpass"]


REFUSED = {
    "unknown": ({"name": Repository(MACHINE, "mail")}, "keys-missing"),
    "another-computers": ({"former": Repository("other", "work")}, "bad-request"),
    "its-own-name": ({"former": WORK}, "repository-exists"),
    "a-name-that-is-used": ({"former": OTHER}, "repository-exists"),
    "a-plain-hosts": ({"name": Repository(MACHINE, "host")}, "repository-exists"),
    "revoked": ({"name": Repository(MACHINE, "revoked")}, "key-revoked"),
    "anothers-key": ({"number": 7}, "key-in-use"),
}


@pytest.mark.parametrize(("given", "cause"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_be_replaced_changes_nothing(
    state: State, given: dict[str, int | Repository], cause: str
) -> None:
    for name, origin in (("other", "made"), ("host", HOST), ("revoked", "made")):
        keys.make(state, SETTINGS, Repository(MACHINE, name), origin)
    revocation.mark(state, SETTINGS, Repository(MACHINE, "revoked"), None, delete=False)
    registration.register(state, SETTINGS, Repository(MACHINE, "own"), key(7), FOREIGN)

    refuses(state, cause, **given)


PLACES: dict[str, tuple[dict[Repository, str], str]] = {
    "taken": ({WORK: OLD, FORMER: FOREIGN}, "there is a repos/dom-work.former1 already"),
    "anothers": ({WORK: FOREIGN}, "repos/dom-work is not the one made here"),
    "anothers-in-both": ({WORK: FOREIGN, FORMER: FOREIGN}, "is not the one made here"),
    "gone": ({}, "repos/dom-work is not the one made here"),
}


@pytest.mark.parametrize(("places", "says"), PLACES.values(), ids=PLACES)
def test_nothing_but_the_former_one_is_moved(
    state: State, account: Account, places: dict[Repository, str], says: str
) -> None:
    begins(state)
    (account.home / WORK.path).rename(account.home / "away")
    for name, borg_id in places.items():
        lies(account, name, borg_id)
    before = there(account)

    with pytest.raises(ServiceFailure) as refused:
        makes_room(state)

    assert refused.value.cause == "move-refused" and says in refused.value.detail
    assert there(account) == before


def test_one_that_was_deleted_meanwhile_is_not_looked_for(state: State, account: Account) -> None:
    begins(state)
    (account.home / WORK.path).rename(account.home / "away")
    changed = dataclasses.replace(entry(state, FORMER), fate=DELETED)
    registry.store(state, known(state).with_entry(str(FORMER), changed))

    assert not makes_room(state)


@pytest.mark.parametrize("stage", ["before", "ended", "another"])
def test_there_is_no_room_to_make_but_in_between(
    state: State, account: Account, stage: str
) -> None:
    former = OTHER if stage == "another" else FORMER
    if stage != "before":
        begins(state)
    if stage == "ended":
        makes_room(state)
        registration.settle(state, SETTINGS, WORK, key(4), NEW)
    before = there(account)

    with pytest.raises(ServiceFailure) as refused:
        replacement.make_room(state, SETTINGS, WORK, former)

    assert refused.value.cause == "keys-missing" and there(account) == before


@pytest.mark.parametrize("number", range(1, 7))
def test_a_connection_that_breaks_anywhere_is_made_good_by_the_next_run(
    state: State, account: Account, number: int
) -> None:
    begins(state)
    account.asked, account.dies_at = 0, number
    try:
        makes_room(state)
    except ServiceFailure as failure:
        assert failure.cause == "server-unreachable"
    account.dies_at = None

    makes_room(state)

    assert there(account) == {"work.former1": OLD}
