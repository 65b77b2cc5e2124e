"""A repository deleted: whole, resumed after a kill, and only if it is the one made here."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_maintenance import deletion
from qborg_maintenance.files import Files
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.directory import WAYS, Account

WORK, ID = Repository("dom", "work"), "a" * 64
PLACE, GONE = "repos/dom-work", "repos/.deleted-dom-work"
CONFIG = f"[repository]\nversion = 1\nid = {ID}\nkey = x\n\ty\n"


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """An account with a repository as borg makes one, and another beside it."""
    for name in ("dom-work", "dom-mail"):
        top = tmp_path / "repos" / name
        for number in ("0", "1"):
            (top / "data" / number).mkdir(parents=True)
            for segment in range(3):
                (top / "data" / number / str(segment)).write_bytes(b"x")
        (top / "config").write_text(CONFIG, encoding="ascii")
        for file in ("README", "nonce", "index.5", "hints.5", "integrity.5", "transactions"):
            (top / file).write_bytes(b"x")
        (top / "lock.exclusive").mkdir()
        (top / "lock.exclusive" / "host@1.2-3").write_bytes(b"")
    return Account(tmp_path)


def _repositories(account: Account) -> list[str]:
    return sorted(os.listdir(account.home / "repos"))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_goes_whole_and_nothing_else(
    account: Account, way: Callable[[Account], Files]
) -> None:
    parts: list[None] = []

    assert deletion.delete(way(account), WORK, ID, lambda: parts.append(None))

    assert _repositories(account) == ["dom-mail"] and len(parts) == 3
    assert sum(len(files) for _dir, _dirs, files in os.walk(account.home)) == 14
    assert not deletion.delete(way(account), WORK, ID, lambda: None)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_connection_that_breaks_anywhere_is_made_good_by_the_next_run(
    account: Account, way: Callable[[Account], Files], tmp_path: Path
) -> None:
    for number in range(1, 60):
        account.asked, account.dies_at = 0, number
        try:
            deletion.delete(way(account), WORK, ID, lambda: None)
            break
        except ServiceFailure as failure:
            assert failure.cause == "server-unreachable"
            there = [name for name in _repositories(account) if name != "dom-mail"]
            assert there in (["dom-work"], [".deleted-dom-work"], [])

    assert number > 2 and _repositories(account) == ["dom-mail"]


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another-id": (
        lambda top: (top / "config").write_text(CONFIG.replace("aa", "bb")), "not known to be"),
    "no-config": (lambda top: (top / "config").unlink(), "no repository"),
    "another-program": (lambda top: (top / "config").write_text(f"id = {ID}\n"), "no repository"),
    "id-in-a-value": (
        lambda top: (top / "config").write_text(f"[repository]\nkey = x\n\tid = {ID}\n"),
        "no repository"),
    "id-with-more": (
        lambda top: (top / "config").write_text(f"[repository]\nid = {ID}0\n"), "no repository"),
}


@pytest.mark.parametrize(("bend", "says"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_not_surely_ours_is_kept(
    account: Account, way: Callable[[Account], Files], bend: Callable[[Path], object], says: str
) -> None:
    bend(account.home / PLACE)
    before = sorted(account.home.rglob("*"))

    with pytest.raises(ServiceFailure, match=says) as refused:
        deletion.delete(way(account), WORK, ID, lambda: None)

    assert refused.value.cause == "repository-kept"
    assert sorted(account.home.rglob("*")) == before


@pytest.mark.parametrize("repository_id", ["", "b" * 64])
def test_without_its_id_it_is_kept(account: Account, repository_id: str) -> None:
    with pytest.raises(ServiceFailure, match="not known to be"):
        deletion.delete(WAYS["shell"](account), WORK, repository_id, lambda: None)

    assert _repositories(account) == ["dom-mail", "dom-work"]


def test_a_file_with_a_strange_name_is_told_and_the_rest_gone_over_sftp(account: Account) -> None:
    (account.home / PLACE / "a; rm -rf .").write_bytes(b"x")

    with pytest.raises(ServiceFailure, match=f"does not delete all of {GONE}"):
        deletion.delete(WAYS["sftp"](account), WORK, ID, lambda: None)

    assert os.listdir(account.home / GONE) == ["a; rm -rf ."]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("link", ["data/2", "more"])
def test_a_link_is_removed_and_what_it_names_stays(
    account: Account, way: Callable[[Account], Files], link: str
) -> None:
    (account.home / PLACE / link).symlink_to(account.home / "repos/dom-mail/data/0")

    assert deletion.delete(way(account), WORK, ID, lambda: None)

    assert len(os.listdir(account.home / "repos/dom-mail/data/0")) == 3
