"""Every kill: each call of a set-up and an enrolment, everybody who is alive in it, each moment."""

import pytest

from lab import Lab
from scenarios import killed, kills
from scenarios.killed import Setup, Undisturbed
from scenarios.kills import Row

CALLS = kills.written_down()


@pytest.fixture(scope="module")
def setup(world: Lab) -> Setup:
    """A set-up that nobody disturbs."""
    world.faults.clear()
    world.restore("fresh")
    return Setup(world)


@pytest.fixture(scope="module")
def clean(world: Lab, kept: None) -> Undisturbed:
    """An enrolment that nobody disturbs."""
    world.restore("vaulted")
    world.faults.clear()
    return killed.enrolment(world)


@pytest.mark.parametrize("row", kills.rows(c for c in CALLS if c.run != "enrol"), ids=str)
def test_a_set_up_goes_on(setup: Setup, row: Row) -> None:
    setup.converges(row)


@pytest.mark.parametrize("row", kills.rows(c for c in CALLS if c.run == "enrol"), ids=str)
def test_an_enrolment_goes_on(vaulted: Lab, clean: Undisturbed, row: Row) -> None:
    killed.enrolment_converges(vaulted, clean, row)
