"""The states that scenarios start from: fresh, set up, enrolled. One lab serves them all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from scenarios import person

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
