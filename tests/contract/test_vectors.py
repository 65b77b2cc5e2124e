"""Bytes on the wire, as files: every implementation of the contract accepts and refuses the same.

The files hold one case for each service and the shapes that a hostile end may send; bytes are
written as Latin-1 text.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from qborg_service.answer import format_failure, format_reply
from qborg_service.request import parse_request
from qborg_wire.reply import Failure, ReplyRefused, parse_reply
from qborg_wire.request import RequestRefused, format_request
from qborg_wire.services import SERVICES

HERE = Path(__file__).parent
REQUESTS = json.loads((HERE / "requests.json").read_text(encoding="ascii"))
REPLIES = json.loads((HERE / "replies.json").read_text(encoding="ascii"))
NONCE = REQUESTS["nonce"]
Case = dict[str, Any]


def cases(vectors: Case, kind: str) -> list[object]:
    """Answer the cases of a file, named."""
    return [pytest.param(case, id=f"{case['service']}: {case.get('name') or case['cause']}")
            for case in vectors[kind]]


def raw(case: Case) -> bytes:
    """Answer a case's bytes."""
    return str(case["bytes"]).encode("latin-1")


@pytest.mark.parametrize("case", cases(REQUESTS, "accepted"))
def test_a_request_is_written_and_read_as_in_the_file(case: Case) -> None:
    row = SERVICES[case["service"]]
    values = {key: tuple(value) if isinstance(value, list) else value
              for key, value in case["values"].items()}

    assert format_request(row, NONCE, case["values"]) == raw(case)
    assert parse_request(row, raw(case)) == (NONCE, values)


@pytest.mark.parametrize("case", cases(REQUESTS, "refused"))
def test_a_bent_request_is_refused(case: Case) -> None:
    with pytest.raises(RequestRefused):
        parse_request(SERVICES[case["service"]], raw(case))


@pytest.mark.parametrize("case", cases(REPLIES, "accepted"))
def test_a_reply_is_written_and_read_as_in_the_file(case: Case) -> None:
    row = SERVICES[case["service"]]

    assert format_reply(row, NONCE, case["values"]) == raw(case)
    assert parse_reply(row, NONCE, raw(case)) == case["values"]


@pytest.mark.parametrize("case", cases(REPLIES, "failures"))
def test_a_failure_is_written_and_read_as_in_the_file(case: Case) -> None:
    failure = Failure(case["cause"], case["detail"])

    assert format_failure(NONCE, failure) == raw(case)
    assert parse_reply(SERVICES[case["service"]], NONCE, raw(case)) == failure


@pytest.mark.parametrize("case", cases(REPLIES, "refused"))
def test_a_bent_reply_is_refused(case: Case) -> None:
    with pytest.raises(ReplyRefused):
        parse_reply(SERVICES[case["service"]], NONCE, raw(case))


def test_every_service_has_a_request_and_a_reply() -> None:
    served = {name for name, row in SERVICES.items() if not row.stream}
    asked = {case["service"] for case in REQUESTS["accepted"]}
    answered = {case["service"] for case in REPLIES["accepted"]}

    assert asked == {name for name in served if not SERVICES[name].record}
    assert answered == served
