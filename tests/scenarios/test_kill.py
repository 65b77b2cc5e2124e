"""kill -9 at the boundaries of an enrolment's steps; one more run converges.

The rows come from the list of a clean run's calls; `make test-kill` runs every one of them.
"""

import pytest

from lab import Lab
from scenarios import killed, kills
from scenarios.killed import Undisturbed
from scenarios.kills import Row

CALLS = [call for call in kills.written_down() if call.run == "enrol"]


@pytest.fixture(scope="module")
def clean(world: Lab, kept: None) -> Undisturbed:
    """An enrolment that nobody disturbs."""
    world.restore("vaulted")
    world.faults.clear()
    return killed.enrolment(world)


def test_the_list_names_every_call_of_an_enrolment(clean: Undisturbed) -> None:
    assert [call.line() for call in clean.calls] == [call.line() for call in CALLS]


@pytest.mark.parametrize("row", kills.boundaries(CALLS), ids=str)
def test_one_more_run_reaches_the_same_end(vaulted: Lab, clean: Undisturbed, row: Row) -> None:
    killed.enrolment_converges(vaulted, clean, row)
