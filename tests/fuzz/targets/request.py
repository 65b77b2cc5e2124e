"""A service's request: the row's keys and nothing else, each value usable as it is."""

import os

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import rows, samples
from qborg_service import request as asked
from qborg_wire import names, request
from qborg_wire.request import RequestRefused, Value
from qborg_wire.row import Service

_SAID = Vocabulary(request, asked)


def one(data: bytes) -> str:
    """Hold the parser of one row's requests to its contract; the first byte chooses the row."""
    row, payload = rows.row_of(data[0] if data else 0), data[1:]
    try:
        nonce, values = asked.parse_request(row, payload)
    except RequestRefused as error:
        return f"{row.name}: {_SAID.told(str(error))}"
    assert len(payload) <= row.limit
    assert names.NONCE.fullmatch(nonce)
    assert list(values) == [field.name for field in row.request]
    for field in row.request:
        value = values[field.name]
        assert isinstance(value, tuple if field.many else str)
        for text in value if isinstance(value, tuple) else (value,):
            assert len(text) <= field.limit and field.pattern.fullmatch(text)
            assert b"\0" not in os.fsencode(text)
    _check_rendering(row, nonce, values)
    return f"{row.name}: accepted"


def _check_rendering(row: Service, nonce: str, values: dict[str, Value]) -> None:
    try:
        again = request.format_request(row, nonce, values)
    except RequestRefused as error:
        # We write other letters as escapes, which are longer.
        assert str(error) == "the request is too long"
        assert not all(text.isascii() for value in values.values() for text in value)
        return
    assert asked.parse_request(row, again) == (nonce, values)


_SEEDS = tuple(
    rows.byte_of(row) + request.format_request(row, samples.NONCE, rows.good_request(row))
    for row in rows.ROWS
    for _more in range(1 + 2 * len(row.request))  # the more fields, the more often
)
_WORDS = (*samples.WORDS, b"latest", b"/home/user/a b", "/home/\u00e9".encode(), b"/..", b"\\u0000",
          b"\\ud800", b"\\udcff", b"\\ud83d\\ude00", b'"nonce"', b"repokey-blake2")  # fmt: skip
TARGET = Target("request", one, _SEEDS, _WORDS, Shape.JSON, 65536, head=1)
