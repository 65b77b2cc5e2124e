"""The lock at the server: never two holders, whatever the interleaving and whatever was left."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from qborg_maintenance import remote_lock
from qborg_maintenance.connection import Connection
from qborg_maintenance.files import ShellFiles
from qborg_maintenance.server import Server
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished

ROUNDS, COMPUTERS = 6, 4
MINE, OTHER = "1" * 32, "2" * 32


class Account:
    """The real commands in a directory of this machine instead of over ssh."""

    def __init__(self, home: Path) -> None:
        (home / ".ssh").mkdir()
        self.home = home
        self.before: Callable[[str], None] = lambda _line: None
        self.files = ShellFiles(cast(Connection, self))

    def run(self, *words: str) -> Finished:
        """Run one command."""
        self.before(" ".join(words))
        done = subprocess.run(words, cwd=self.home, capture_output=True, check=False, timeout=60)
        return Finished(done.returncode, done.stdout, done.stderr)

    def leaves(self, seconds_ago: float, machine_id: str) -> Path:
        """Leave an entry as a killed computer does."""
        entry = self.home / remote_lock.LOCK / f"{int(time.time() - seconds_ago)}-{machine_id}"
        entry.mkdir(parents=True)
        return entry


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account; whoever waits does so for a moment only."""
    monkeypatch.setattr(remote_lock, "_PAUSE", (0.0, 0.05))
    return Account(tmp_path)


def _lock(account: Account, machine_id: str = MINE) -> remote_lock.Lock | None:
    return remote_lock._take(cast(Server, account), machine_id)


def _entries(account: Account) -> list[str]:
    folder = account.home / remote_lock.LOCK
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("left", [None, 10_000], ids=["free", "left-over"])
def test_of_many_computers_one_at_a_time_is_inside(account: Account, left: int | None) -> None:
    if left is not None:
        account.leaves(left, "f" * 32)
    inside, most, done = [0], [0], [0]
    guard = threading.Lock()

    def works(machine_id: str) -> None:
        for _round in range(ROUNDS):
            server = cast(Server, account)
            with remote_lock.remote_lock(server, machine_id, lambda: None) as lock:
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                assert lock.is_held()
                with guard:
                    inside[0] -= 1
                    done[0] += 1

    threads = [threading.Thread(target=works, args=(f"{n:032x}",)) for n in range(COMPUTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert (most[0], done[0]) == (1, ROUNDS * COMPUTERS)
    assert _entries(account) == []


def test_two_that_look_together_both_step_back(account: Account) -> None:
    def other_comes(line: str) -> None:
        if line.startswith("mkdir") and line.endswith(MINE):
            account.before = lambda _line: None
            account.leaves(0, OTHER)

    account.before = other_comes

    assert _lock(account) is None
    assert [entry[11:] for entry in _entries(account)] == [OTHER]


def test_a_left_over_entry_is_taken_by_one_only(account: Account) -> None:
    stale = account.leaves(10_000, OTHER)

    def other_is_faster(line: str) -> None:
        if line.startswith("mv"):
            account.before = lambda _line: None
            stale.rename(stale.with_name(f"{int(time.time())}-{'3' * 32}"))

    account.before = other_is_faster

    assert _lock(account) is None
    assert [entry[11:] for entry in _entries(account)] == ["3" * 32]


@pytest.mark.parametrize(
    ("age", "owner"), [(0, MINE), (5, MINE), (10_000, OTHER), (-10_000, OTHER)]
)
def test_what_a_killed_run_left_is_taken_over(account: Account, age: int, owner: str) -> None:
    account.leaves(age, owner)

    lock = _lock(account)

    assert lock is not None and _entries(account) == [lock.entry]
    lock.release()
    assert not (account.home / remote_lock.LOCK).exists()


def test_a_computer_that_works_is_waited_for_and_named(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, words = account.leaves(5, OTHER), []

    def waits() -> None:
        words.append("waits")
        if len(words) == 3:
            entry.rmdir()

    with remote_lock.remote_lock(cast(Server, account), MINE, waits):
        assert words == ["waits"] * 3
    monkeypatch.setattr(remote_lock, "_PATIENCE", 0.0)
    account.leaves(5, OTHER)
    with (
        pytest.raises(ServiceFailure, match="other computers publish"),
        remote_lock.remote_lock(cast(Server, account), MINE, lambda: None),
    ):
        pass


def test_who_slept_too_long_learns_that_the_lock_is_another_s(account: Account) -> None:
    lock = _lock(account)
    assert lock is not None and lock.is_held()
    entry = account.home / remote_lock.LOCK / lock.entry
    entry.rename(entry.with_name(f"{int(time.time())}-{OTHER}"))

    assert not lock.is_held()
    lock.release()
    assert [name[11:] for name in _entries(account)] == [OTHER]


def test_an_account_that_takes_no_directory_says_why(account: Account) -> None:
    (account.home / ".ssh").rmdir()

    with pytest.raises(ServiceFailure, match="no directory can be made"):
        _lock(account)
