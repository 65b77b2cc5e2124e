"""kill -9 at the boundaries of the set-up's steps; one more run goes on."""

import pytest

from lab import Lab
from scenarios import kills
from scenarios.killed import Setup
from scenarios.kills import Row

CALLS = [call for call in kills.written_down() if call.run in kills.PLAIN]


@pytest.fixture(scope="module")
def setup(world: Lab) -> Setup:
    """A set-up that nobody disturbs."""
    world.faults.clear()
    world.restore("fresh")
    return Setup(world)


def test_the_list_names_every_call_of_a_set_up(setup: Setup) -> None:
    assert list(setup.clean.calls) == CALLS


@pytest.mark.parametrize("row", kills.boundaries(CALLS), ids=str)
def test_one_more_run_reaches_the_same_end(setup: Setup, row: Row) -> None:
    setup.converges(row)
