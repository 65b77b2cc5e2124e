"""The states that scenarios start from: fresh, set up, enrolled. One lab serves them all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from scenarios import letters, person, typist

WORLD = Path(__file__).parent / "world.toml"


@pytest.fixture(scope="session")
def world() -> Iterator[Lab]:
    """One lab, with every later state kept in it as the programs themselves made it."""
    with Lab.up(WORLD) as lab:
        lab.snapshot("fresh")
        person.sets_up(lab)
        lab.snapshot("ready")
        person.runs(lab, "qvm-borg-enroll", "work", "--no-escrow")
        lab.snapshot("enrolled")
        yield lab


def _at(world: Lab, label: str) -> Lab:
    world.faults.clear()
    world.restore(label)
    return world


@pytest.fixture
def fresh(world: Lab) -> Lab:
    """Installed, nothing run yet."""
    return _at(world, "fresh")


@pytest.fixture
def ready(world: Lab) -> Lab:
    """Set up: the maintenance qube runs and the server takes its admin key."""
    return _at(world, "ready")


@pytest.fixture
def enrolled(world: Lab) -> Lab:
    """work is enrolled and runs."""
    return _at(world, "enrolled")


@pytest.fixture(scope="module")
def steady(world: Lab) -> Lab:
    """work is enrolled and runs, restored once: for a module's rows that change nothing."""
    return _at(world, "enrolled")


@pytest.fixture(scope="session")
def kept(world: Lab) -> None:
    """Have a state in which the vault has the account's record, and one with work's in it too."""
    _at(world, "ready")
    person.runs(world, "qvm-borg-setup", "--vault", "vault")
    world.snapshot("vaulted")
    person.runs(world, "qvm-borg-enroll", "work")
    world.snapshot("escrowed")


@pytest.fixture
def vaulted(world: Lab, kept: None) -> Lab:
    """Set up with a vault, which is halted."""
    return _at(world, "vaulted")


@pytest.fixture
def escrowed(world: Lab, kept: None) -> Lab:
    """work is enrolled, its record is in the vault, and the maintenance qube has forgotten."""
    return _at(world, "escrowed")


@pytest.fixture(scope="module")
def escrowed_once(world: Lab, kept: None) -> Lab:
    """The same, restored once: for a module that makes a state of its own of it."""
    return _at(world, "escrowed")


@pytest.fixture(scope="session")
def letters_were(world: Lab, kept: None) -> dict[str, Any]:
    """Have a state with letters in a backup; answers what they are like."""
    _at(world, "escrowed")
    letters.does(world, letters.WRITES)
    person.runs(world, "qvm-borg-backup", "work")
    about = letters.about(world)
    world.snapshot("written")
    return about


@pytest.fixture
def written(world: Lab, letters_were: dict[str, Any]) -> Lab:
    """As it was with that backup."""
    return _at(world, "written")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose account takes a password; the maintenance qube is made, nothing is installed."""
    with Lab.up(typist.world(tmp_path_factory.mktemp("world"))) as lab:
        typist.makes_the_keeper(lab)
        lab.snapshot("waiting")
        yield lab


@pytest.fixture
def waiting(account: Lab) -> Lab:
    """As that account was, before any password was typed."""
    return _at(account, "waiting")
