"""Every kill: each call of a set-up, an enrolment, a rotation; everybody alive, each moment."""

from collections.abc import Callable, Iterator

import pytest

from kill import table
from lab import Lab
from scenarios import killed, kills, typist
from scenarios.killed import Setup, Undisturbed
from scenarios.killed_password import Password
from scenarios.kills import Row

pytestmark = pytest.mark.kill
CALLS = kills.written_down()
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def setup(world: Lab) -> Setup:
    """A set-up that nobody disturbs."""
    world.faults.clear()
    world.restore("fresh")
    return Setup(world)


@pytest.fixture(scope="module")
def by_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Password]:
    """A set-up by a password that nobody disturbs, in a lab of its own."""
    with Lab.up(typist.world_with_windows(tmp_path_factory.mktemp("world"))) as lab:
        yield Password(lab)


@pytest.fixture(scope="module")
def clean(world: Lab, kept: None) -> Undisturbed:
    """An enrolment that nobody disturbs."""
    world.restore("vaulted")
    world.faults.clear()
    return killed.enrolment(world)


@pytest.fixture(scope="module")
def rotated(world: Lab, kept: None) -> Undisturbed:
    """A rotation that nobody disturbs."""
    world.restore("escrowed")
    world.faults.clear()
    return killed.rotation(world)


@pytest.mark.parametrize(
    "row", kills.rows(c for c in CALLS if c.run in kills.PLAIN), ids=str)
def test_a_set_up_goes_on(setup: Setup, row: Row, record_property: Record) -> None:
    record_property(table.STRUCK, setup.converges(row))


@pytest.mark.parametrize("row", kills.rows(c for c in CALLS if c.run == kills.PASSWORD), ids=str)
def test_a_set_up_by_a_password_goes_on(
    by_password: Password, row: Row, record_property: Record
) -> None:
    record_property(table.STRUCK, by_password.converges(row))


@pytest.mark.parametrize("row", kills.rows(c for c in CALLS if c.run == "enrol"), ids=str)
def test_an_enrolment_goes_on(
    vaulted: Lab, clean: Undisturbed, row: Row, record_property: Record
) -> None:
    record_property(table.STRUCK, killed.enrolment_converges(vaulted, clean, row))


@pytest.mark.parametrize("row", kills.rows(c for c in CALLS if c.run == "rotate"), ids=str)
def test_a_rotation_goes_on(
    escrowed: Lab, rotated: Undisturbed, row: Row, record_property: Record
) -> None:
    record_property(table.STRUCK, killed.rotation_converges(escrowed, rotated, row))
