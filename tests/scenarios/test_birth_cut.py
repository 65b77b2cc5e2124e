"""A repository's birth that was cut on the server: put aside whole, and the next run makes one."""

import re
from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import person, state

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
_EXPORT = "/home/user/.local/share/qubes-borg/host-keys/qubes-work/key-export"
_UNCOMMITTED = "rm -f transactions index.* hints.* integrity.*"
CUTS = {
    "before-its-data": f"{_UNCOMMITTED}; rm -r data",
    "before-a-segment": f"{_UNCOMMITTED}; rm -r data/0",
    "before-its-key": f"{_UNCOMMITTED}; rm data/0/*; sed -i '/^key/d; /^\t/d' config",
    "amid-the-first-segment": f"{_UNCOMMITTED}; rm data/0/1; truncate -s 200 data/0/0",
    "before-the-commit": f"{_UNCOMMITTED}; rm data/0/1",
    "amid-the-commit": f"{_UNCOMMITTED}; truncate -s 10 data/0/1",
}


@pytest.fixture(scope="module")
def born(world: Lab) -> Callable[[], Lab]:
    """The moment when borg has made the repository, and nobody has exported its key."""
    world.faults.clear()
    world.restore("ready")
    world.faults.add(where="qrexec", match="qborg.InitRepository+*", when="after",
                     action="kill-caller")
    world.run(list(ENROL))
    world.faults.clear()
    world.exec("borg-maintenance", ["rm", _EXPORT], check=True)
    world.snapshot("born")

    def again() -> Lab:
        world.restore("born")
        return world

    return again


def _cut(lab: Lab, script: str) -> None:
    place = f"{person.HOME}/repos/qubes-work"
    lab.server.exec(["sh", "-euc", f"cd {place}; {script}"], user="zh1234", check=True)


def _repositories(lab: Lab) -> list[str]:
    listed = lab.server.exec(["ls", f"{person.HOME}/repos"], check=True)
    return listed.stdout.decode().split()


@pytest.mark.parametrize("script", CUTS.values(), ids=CUTS)
def test_the_next_run_puts_it_aside_and_succeeds(born: Callable[[], Lab], script: str) -> None:
    lab = born()
    _cut(lab, script)

    assert "work: enrolled" in person.runs(lab, *ENROL)

    one, aside = _repositories(lab)
    assert one == "qubes-work" and re.fullmatch(r"qubes-work\.unfinished-[0-9]+", aside)
    assert len(state.archives(lab)) == 1
    assert "nothing was changed" in person.runs(lab, *ENROL)
    assert _repositories(lab) == [one, aside]


def test_one_that_a_backup_may_have_written_to_stays(born: Callable[[], Lab]) -> None:
    lab = born()
    _cut(lab, f"{_UNCOMMITTED}; rm data/0/1; touch transactions")

    person.is_refused(lab, *ENROL, code=9, says="Repository has no manifest")

    assert _repositories(lab) == ["qubes-work"]
