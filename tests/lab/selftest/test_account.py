"""The watch over the account's commands: each is noted in order, and the one held stands still."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lab import Lab
from lab.running import RunningProcess

SHELL, USER, HOME = "/usr/lib/lab/account-shell", "zh1234", "/home/zh1234"


@pytest.fixture(scope="module", name="lab")
def fixture_lab() -> Iterator[Lab]:
    """Bring up the world without the product."""
    with Lab.up("bare") as lab:
        yield lab


def _starts(lab: Lab, command: str) -> RunningProcess:
    return lab.popen("server", [SHELL, "-c", command], user=USER)


def _exists(lab: Lab, name: str) -> bool:
    return lab.server.exec(["test", "-e", f"{HOME}/{name}"]).returncode == 0


def test_commands_are_noted_in_order_and_run_as_they_do_unwatched(lab: Lab) -> None:
    lab.server.account.watch()

    for command, code in ((f"mkdir {HOME}/a", 0), (f"ls {HOME}/none", 2), ("id", 126)):
        assert lab.server.exec([SHELL, "-c", command], user=USER).returncode == code
    fed = lab.server.exec([SHELL, "-c", f"dd of={HOME}/a/b"], user=USER, input=b"text")

    assert fed.returncode == 0
    assert lab.server.account.commands() == [
        f"mkdir {HOME}/a", f"ls {HOME}/none", f"dd of={HOME}/a/b"]  # fmt: skip
    assert lab.server.exec(["cat", f"{HOME}/a/b"]).stdout == b"text"


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_one_that_is_held_stands_still_until_it_is_let_go(lab: Lab, when: str) -> None:
    lab.server.account.watch()
    lab.server.account.hold(2, when)
    assert lab.server.exec([SHELL, "-c", "ls"], user=USER, timeout=60).returncode == 0

    with _starts(lab, f"mkdir {HOME}/{when}") as held:
        lab.server.account.until_held()
        assert _exists(lab, when) is (when == "after")
        with pytest.raises(subprocess.TimeoutExpired):
            held.wait(0.5)
        lab.server.account.let_go()

        assert held.wait(60) == 0
    assert _exists(lab, when)


def test_a_command_that_never_comes_is_told(lab: Lab) -> None:
    lab.server.account.watch()
    lab.server.account.hold(1)

    with pytest.raises(TimeoutError, match="never came"):
        lab.server.account.until_held(0.2)


def test_without_a_watch_nothing_is_noted(lab: Lab) -> None:
    lab.server.account.watch()
    lab.server.account.unwatch()

    assert lab.server.exec([SHELL, "-c", "ls"], user=USER).returncode == 0
    assert not lab.server.exec(["ls", "/run/account"]).stdout
