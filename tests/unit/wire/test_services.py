"""The services table as data: what holds for every row."""

import re

import pytest

from qborg_service import answer
from qborg_wire import data, names, reply, services
from qborg_wire.causes import CAUSES
from qborg_wire.row import Role, Service
from qborg_wire.services import SERVICES, accepting

ROWS = list(SERVICES.values())
IDS = list(SERVICES)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_that_dom0_calls_is_not_called_by_a_qube(row: Service) -> None:
    assert Role.DOM0 not in row.callees
    assert row.callers == (Role.DOM0,) or Role.DOM0 not in row.callers


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_has_a_reply_unless_it_is_a_stream(row: Service) -> None:
    assert bool(row.reply) == (not row.stream)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_every_failure_fits_the_limit_of_every_row(row: Service) -> None:
    longest = max(CAUSES, key=len)
    failure = answer.format_failure("f" * 32, reply.Failure(longest, "x" * 500))

    assert len(failure) <= row.limit
    assert reply.parse_reply(row, "f" * 32, failure) == reply.Failure(longest, "x" * 120)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_field_of_a_row_allows_no_line_end(row: Service) -> None:
    for field in (*row.request, *row.reply):
        assert field.pattern.fullmatch("a\nb=c") is None
        assert field.pattern.fullmatch("\n") is None


@pytest.mark.parametrize(("line", "good", "bad"), [
    ("a: yes|no", "no", "n"), ("a: rsync.net|ok", "rsync.net", "rsyncxnet"),
    ("a: none|NUMBER 3", "12", "1234"), ("a: none|ORIGIN 200", "made,none", "lost,none"),
    ("a: PORT 5", "65535", "65536"), ("a: LIST 40", "m-a m-b", "m-a  m-b"),
])  # fmt: skip
def test_a_field_is_what_its_line_says(line: str, good: str, bad: str) -> None:
    (field,) = services._fields([line])

    assert names.parse(field.pattern, field.limit, good) == good
    with pytest.raises(names.NameRefused):
        names.parse(field.pattern, field.limit, bad)


@pytest.mark.parametrize("line", ["a: NUMBR 3", "a: none|DIGSET 64", "SETINGS"])
def test_a_misspelt_name_of_a_pattern_or_group_is_no_word(line: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        list(services._fields([line]))


def test_every_pattern_and_group_is_used_and_none_lets_a_line_end_through() -> None:
    told = data.beside(services.__file__, "fields")
    table = data.beside(services.__file__)
    lines = " ".join([*(line for row in table.values() for side in ("request", "reply")
                        for line in row.get(side, [])),
                      *(line for group in told["groups"].values() for line in group),
                      *told["patterns"].values()])  # fmt: skip

    assert {*told["patterns"], *told["groups"]} <= set(re.findall(r"[A-Z_]{3,}", lines))
    assert "$" not in "".join(re.sub(r"\$[A-Z_]+", "", text) for text in told["patterns"].values())


def test_only_one_row_runs_as_root() -> None:
    assert [row.name for row in ROWS if row.root] == ["StartSchedule"]


def test_each_role_takes_a_record_by_a_service_of_its_own() -> None:
    taken = {role: accepting(role).name for role in (Role.WORKER, Role.CLIENT, Role.MAINTENANCE)}

    assert taken == {Role.WORKER: "AcceptRecord", Role.CLIENT: "TakeRecord",
                     Role.MAINTENANCE: "AcceptAccount"}


def test_only_the_description_answers_before_the_role() -> None:
    assert [row.name for row in ROWS if row.before_role] == [
        "DescribeClient", "DescribeAccount"]
