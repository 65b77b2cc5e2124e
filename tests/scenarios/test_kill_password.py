"""kill -9 in a set-up that logs in by a password; one more run goes on.

At each commit the service and sshd at the end of the login; all others take minutes:
`make test-kill RUN=password`.
"""

from collections.abc import Iterator

import pytest

from lab import Lab
from scenarios import kills, typist
from scenarios.killed_password import Password
from scenarios.kills import Row

CALLS = [call for call in kills.written_down() if call.run == kills.PASSWORD]
LOGIN = [row for row in kills.rows(CALLS) if row.call.name == "qborg.FirstLogin+"
         and row.victim in ("service", "sshd") and row.moment == "after"]  # fmt: skip


@pytest.fixture(scope="module")
def by_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Password]:
    """A set-up that nobody disturbs, in a lab whose account takes a password."""
    with Lab.up(typist.world_with_windows(tmp_path_factory.mktemp("world"))) as lab:
        yield Password(lab)


def test_the_list_names_every_call_of_a_set_up_by_a_password(by_password: Password) -> None:
    assert list(by_password.clean.calls) == CALLS


@pytest.mark.parametrize("row", LOGIN, ids=str)
def test_one_more_run_reaches_the_same_end(by_password: Password, row: Row) -> None:
    by_password.converges(row)
