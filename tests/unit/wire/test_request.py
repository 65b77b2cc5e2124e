"""The framing of requests: JSON with exactly the row's keys, nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_service.request import parse_request
from qborg_wire import request
from qborg_wire.request import RequestRefused
from qborg_wire.services import SERVICES

ROW = SERVICES["SendBundle"]
RESTORE = SERVICES["RestoreFiles"]
NONCE = "0123456789abcdef" * 2
GOOD = request.format_request(ROW, NONCE, {"client": "work"})

BENT = {
    "empty": b"",
    "cut": GOOD[:-1],
    "two-objects": GOOD + GOOD,
    "list": b"[]",
    "text": b'"work"',
    "not-utf-8": GOOD.replace(b"work", b"w\xffrk"),
    "no-nonce": b'{"client":"work"}',
    "short-nonce": GOOD.replace(NONCE.encode(), NONCE[1:].encode()),
    "key-more": json.dumps({"nonce": NONCE, "client": "work", "user": "root"}).encode(),
    "key-twice": GOOD.replace(b"{", b'{"client":"x",'),
    "value-number": json.dumps({"nonce": NONCE, "client": 1}).encode(),
    "value-list": json.dumps({"nonce": NONCE, "client": ["work"]}).encode(),
    "value-newline": json.dumps({"nonce": NONCE, "client": "work\n"}).encode(),
    "too-long": GOOD + b" " * ROW.limit,
    "deep": b"[" * 250,
}


def test_a_formatted_request_parses_to_the_same_values() -> None:
    assert parse_request(ROW, GOOD) == (NONCE, {"client": "work"})


def test_a_list_of_paths_keeps_its_order_and_its_letters() -> None:
    values = {"archive": "latest", "paths": ["b \u00e9", "/a"], "directory": "/home/user/back",
              "home": "aside"}
    payload = request.format_request(RESTORE, NONCE, values)

    assert parse_request(RESTORE, payload)[1]["paths"] == ("b \u00e9", "/a")


@pytest.mark.parametrize("untrusted_payload", BENT.values(), ids=BENT)
def test_a_bent_request_is_refused(untrusted_payload: bytes) -> None:
    with pytest.raises(RequestRefused):
        parse_request(ROW, untrusted_payload)


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(untrusted_payload: bytes) -> None:
    try:
        parse_request(ROW, untrusted_payload)
    except RequestRefused:
        pass


@pytest.mark.parametrize(
    "values",
    [{"client": "wo rk"}, {}, {"client": "work", "more": "1"}],
    ids=["value", "missing", "more"],
)
def test_a_request_that_would_be_refused_is_not_written(values: dict[str, str]) -> None:
    with pytest.raises(RequestRefused):
        request.format_request(ROW, NONCE, values)
