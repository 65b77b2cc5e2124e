"""What real Salt makes of every state, and the lab in which the states are applied."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from salt import cases, place
from scenarios import person


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> cases.Data:
    """Every state for every machine, as data."""
    return cases.render(tmp_path_factory.mktemp("rendered"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose templates have nothing of ours, with our packages in dom0's state tree."""
    folder = tmp_path_factory.mktemp("world")
    with Lab.up(place.world(folder, tmp_path_factory)) as lab:
        place.prepare(lab, folder / "ours")
        lab.snapshot("bare")
        yield lab


@pytest.fixture
def bare(world: Lab) -> Lab:
    """dom0 has our package and our states; no template has anything, nothing is set up."""
    world.restore("bare")
    return world


@pytest.fixture(scope="session")
def applied(world: Lab) -> str:
    """What the first run of all states in the first template printed, by the top of all."""
    world.restore("bare")
    place.qubesctl(world, "top.enable", "qubes-borg")
    said = place.qubesctl(
        world, "--skip-dom0", "--targets=debian-13", "--show-output", "state.apply")
    world.snapshot("installed")
    return said


@pytest.fixture
def installed(world: Lab, applied: str) -> Lab:
    """All roles are in the first template."""
    world.restore("installed")
    return world


@pytest.fixture(scope="session")
def kept(world: Lab, applied: str) -> str:
    """What the enrolment of a qube on that template printed."""
    world.restore("installed")
    person.sets_up(world, "--vault", "vault")
    said = person.runs(world, "qvm-borg-enroll", "work", timeout=900)
    world.snapshot("enrolled")
    return said


@pytest.fixture
def enrolled(world: Lab, kept: str) -> Lab:
    """work, on that template, is enrolled and backed up."""
    world.restore("enrolled")
    return world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing here is skipped: without .venv/salt the run fails and says so."""
    python = Path(__file__).parents[2] / ".venv/salt/bin/python"
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    if ours and not python.exists():
        raise pytest.UsageError(f"there is no {python}: run `make test`, which makes it")
