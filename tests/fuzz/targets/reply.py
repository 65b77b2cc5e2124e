"""A service's reply: a cut, padded, reordered or doubled one is no reply."""

from fuzz.target import Shape, Target, Vocabulary, one_line
from fuzz.targets import rows, samples
from qborg_service import answer
from qborg_wire import reply
from qborg_wire.causes import CAUSES
from qborg_wire.reply import Failure, Progress, ReplyRefused

_SAID = Vocabulary(reply)
_FAILURE = Failure("locked", "the repository is locked")


def one(data: bytes) -> str:
    """Hold the parser of one row's replies to its contract; the first byte chooses the row."""
    row, payload = rows.row_of(data[0] if data else 0), data[1:]
    if payload.startswith(b"progress="):
        return _progress(payload)
    try:
        found = reply.parse_reply(row, samples.NONCE, payload)
    except ReplyRefused as error:
        return f"{row.name}: {_SAID.told(str(error))}"
    assert len(payload) <= row.limit
    if isinstance(found, Failure):
        assert found.cause in CAUSES and one_line(found.detail, 120)
        assert answer.format_failure(samples.NONCE, found) == payload
        return f"{row.name}: failure"
    assert answer.format_reply(row, samples.NONCE, found) == payload
    assert all(one_line(value, field.limit) and field.pattern.fullmatch(value)
               for field, value in zip(row.reply, found.values(), strict=True))
    return f"{row.name}: accepted"


def _progress(line: bytes) -> str:
    try:
        found = reply.parse_progress(line)
    except ReplyRefused as error:
        return f"progress: {_SAID.told(str(error))}"
    assert found.encode() == line
    return "progress: accepted"


GOOD = tuple(
    rows.byte_of(row) + answer.format_reply(row, samples.NONCE, rows.good_reply(row))
    for row in rows.ROWS
)
FAILURES = tuple(
    rows.byte_of(row) + answer.format_failure(samples.NONCE, _FAILURE) for row in rows.ROWS
)
PROGRESS = Progress("create", 12, 34567).encode()
WORDS = (
    *samples.WORDS, b"outcome=ok\n", b"outcome=", b"detail=", b"nonce=", PROGRESS, b"locked",
    b"time-out", b"dom-a dom-b", b"running", b"1.4.0", b"000000000000000", b"progress=",
)  # fmt: skip
TARGET = Target("reply", one, (*GOOD, *FAILURES, b"A" + PROGRESS), WORDS, Shape.LINES, 4096, head=1)
