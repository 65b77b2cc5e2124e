"""The services table as data: what holds for every row."""

import pytest

from qborg_wire import reply
from qborg_wire.causes import CAUSES
from qborg_wire.row import Role, Service
from qborg_wire.services import SERVICES

ROWS = list(SERVICES.values())
IDS = list(SERVICES)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_that_dom0_calls_is_not_called_by_a_qube(row: Service) -> None:
    assert Role.DOM0 not in row.callees
    assert row.callers == (Role.DOM0,) or Role.DOM0 not in row.callers


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_is_served_only_where_it_may_be_called(row: Service) -> None:
    assert set(row.served_by) <= set(row.callees)
    assert bool(row.reply) == (bool(row.served_by) and not row.stream)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_every_failure_fits_the_limit_of_every_row(row: Service) -> None:
    longest = max(CAUSES, key=len)
    failure = reply.format_failure("f" * 32, reply.Failure(longest, "x" * 500))

    assert len(failure) <= row.limit
    assert reply.parse_reply(row, "f" * 32, failure) == reply.Failure(longest, "x" * 120)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_field_of_a_row_allows_no_line_end(row: Service) -> None:
    for field in (*row.request, *row.reply):
        assert field.pattern.fullmatch("a\nb=c") is None
        assert field.pattern.fullmatch("\n") is None


def test_only_one_row_runs_as_root() -> None:
    assert [row.name for row in ROWS if row.root] == ["StartSchedule"]


def test_only_the_description_answers_before_the_role() -> None:
    assert [row.name for row in ROWS if row.before_role] == [
        "DescribeClient", "DescribeAccount"]
