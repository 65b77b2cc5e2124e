"""kill -9 where a rotation's keys take over; one of the two works, one more run converges.

The other boundaries take minutes more than they are worth at each commit: `make test-kill`.
"""

import pytest

from lab import Lab
from scenarios import killed, kills
from scenarios.killed import Undisturbed
from scenarios.kills import Row

CALLS = [call for call in kills.written_down() if call.run == "rotate"]


@pytest.fixture(scope="module")
def clean(world: Lab, kept: None) -> Undisturbed:
    """A rotation that nobody disturbs."""
    world.restore("escrowed")
    world.faults.clear()
    return killed.rotation(world)


def test_the_list_names_every_call_of_a_rotation(clean: Undisturbed) -> None:
    assert [call.line() for call in clean.calls] == [call.line() for call in CALLS]


@pytest.mark.parametrize("row", kills.turns(CALLS), ids=str)
def test_one_more_run_reaches_the_same_end(escrowed: Lab, clean: Undisturbed, row: Row) -> None:
    killed.rotation_converges(escrowed, clean, row)
