"""The framing of replies: what is formatted parses again, what is bent does not."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_service import answer
from qborg_wire import reply
from qborg_wire.reply import Failure, Progress, ReplyRefused
from qborg_wire.services import SERVICES

ROW = SERVICES["SendBundle"]
NONCE = "0123456789abcdef" * 2
VALUES = {"bundle": "ab" * 32, "changed": "yes", "aside": "no"}
GOOD = answer.format_reply(ROW, NONCE, VALUES)

BENT = {
    "empty": b"",
    "cut-by-one": GOOD[:-1],
    "one-byte-more": GOOD + b"x",
    "one-line-more": GOOD + b"more=1\n",
    "line-missing": GOOD.rsplit(b"aside", 1)[0],
    "line-twice": GOOD + b"aside=no\n",
    "other-order": GOOD.replace(b"bundle", b"chanGed").replace(b"chanGed", b"changed", 1),
    "other-nonce": GOOD.replace(NONCE.encode(), b"f" * 32),
    "crlf": GOOD.replace(b"\n", b"\r\n"),
    "escape": GOOD.replace(b"yes", b"\x1b[2J"),
    "utf-8": GOOD.replace(b"yes", "y\u00e9s".encode()),
    "nul": GOOD.replace(b"yes", b"ye\0"),
    "value-outside": GOOD.replace(b"yes", b"maybe"),
    "digest-short": GOOD.replace(b"ab" * 32, b"ab" * 31),
    "unknown-cause": b"nonce=%s\noutcome=bored\ndetail=x\n" % NONCE.encode(),
    "failure-without-detail": b"nonce=%s\noutcome=internal\n" % NONCE.encode(),
    "failure-with-values": b"nonce=%s\noutcome=internal\ndetail=x\nchanged=yes\n" % NONCE.encode(),
    "too-long": GOOD + b"a=" + b"x" * ROW.limit + b"\n",
    "no-outcome": b"nonce=%s\n" % NONCE.encode(),
}


def test_a_reply_beyond_the_limit_is_refused_for_its_length_alone() -> None:
    fits, short = (dataclasses.replace(ROW, limit=len(GOOD) - less) for less in (0, 1))

    assert reply.parse_reply(fits, NONCE, GOOD) == VALUES
    with pytest.raises(ReplyRefused, match="too long"):
        reply.parse_reply(short, NONCE, GOOD)


def test_a_formatted_reply_parses_to_the_same_values() -> None:
    assert reply.parse_reply(ROW, NONCE, GOOD) == VALUES


@pytest.mark.parametrize("untrusted_reply", BENT.values(), ids=BENT)
def test_a_bent_reply_is_refused_without_being_repeated(untrusted_reply: bytes) -> None:
    with pytest.raises(ReplyRefused) as refused:
        reply.parse_reply(ROW, NONCE, untrusted_reply)

    assert "yes" not in str(refused.value)


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(untrusted_reply: bytes) -> None:
    try:
        parsed = reply.parse_reply(ROW, NONCE, untrusted_reply)
    except ReplyRefused:
        return
    assert isinstance(parsed, (dict, Failure))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_changed_byte_never_goes_unseen(position: int, byte: int) -> None:
    changed = GOOD[:position] + bytes([byte]) + GOOD[position + 1 :]
    try:
        parsed = reply.parse_reply(ROW, NONCE, changed)
    except ReplyRefused:
        return
    assert changed == GOOD or parsed != VALUES


@pytest.mark.parametrize(
    "values",
    [{}, {"bundle": "ab" * 32}, {**VALUES, "more": "1"}, {**VALUES, "changed": "yes\nx=1"}],
    ids=["none", "missing", "one-more", "line-end"],
)
def test_a_handler_cannot_answer_outside_its_row(values: dict[str, str]) -> None:
    with pytest.raises((ValueError, KeyError)):
        answer.format_reply(ROW, NONCE, values)


def test_progress_parses_to_what_was_encoded() -> None:
    progress = Progress("backup", 12, 3456)

    assert reply.parse_progress(progress.encode()) == progress


@pytest.mark.parametrize(
    "line",
    [b"progress=\x1b[2J 1 1\n", b"progress=backup 1\n", b"progress=backup 1 -1\n",
     b"progress=backup 1 1", b"progress=backup 01 1\n", b"progress=backup 1 1\r\n",
     b"progress=b " + b"1" * 300 + b" 1\n", b"progress=" + b"b" * 25 + b" 1 1\n"],
    ids=["escape", "one-number", "negative", "no-end", "leading-zero", "cr", "long", "stage"],
)
def test_a_bent_progress_line_is_refused(line: bytes) -> None:
    with pytest.raises(ReplyRefused):
        reply.parse_progress(line)


def test_printable_never_leaves_a_terminal_byte() -> None:
    assert reply.printable("a\x1b[2J\nb\u00e9") == "a_[2J_b_"
    assert reply.printable("") == "-"
