"""The one block in the user's crontab."""

import pytest

from qborg_client import crontab
from qborg_client.crontab import BEGIN, END, HalfBlock

JOBS = b"7 * * * * /usr/bin/qborg-run --scheduled\n"
BLOCK = BEGIN + JOBS + END
OTHERS = {
    "none": b"",
    "one": b"0 3 * * * true\n",
    "crlf-and-bytes": b"MAILTO=\"\"\r\n# \xe9\n\n0 3 * * * true\n",
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_the_block_goes_to_the_end_and_the_rest_stays(others: bytes) -> None:
    assert crontab.with_block(others, JOBS) == others + BLOCK


def test_it_is_not_glued_to_a_last_line_without_newline() -> None:
    assert crontab.with_block(b"0 3 * * * true", JOBS) == b"0 3 * * * true\n" + BLOCK


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_a_new_block_takes_the_place_of_the_old(others: bytes) -> None:
    old = others + BEGIN + b"1 * * * * old\n# more\n" + END + b"@daily true"

    assert crontab.with_block(old, JOBS) == others + BLOCK + b"@daily true"


def test_a_second_time_changes_nothing() -> None:
    once = crontab.with_block(b"0 3 * * * true\n", JOBS)

    assert crontab.with_block(once, JOBS) == once


HALVES = {
    "begin-only": BEGIN + b"0 3 * * * mine\n",
    "end-only": b"0 3 * * * mine\n" + END,
    "reversed": END + b"0 3 * * * mine\n" + BEGIN,
    "twice": BLOCK + b"0 3 * * * mine\n" + BLOCK,
    "nested": BEGIN + BEGIN + b"0 3 * * * mine\n" + END,
}


@pytest.mark.parametrize("text", HALVES.values(), ids=HALVES)
def test_half_a_block_is_left_to_a_person(text: bytes) -> None:
    with pytest.raises(HalfBlock):
        crontab.with_block(text, JOBS)


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_without_its_block_every_other_byte_is_there(others: bytes) -> None:
    assert crontab.without_block(crontab.with_block(others, JOBS)) == others
    assert crontab.without_block(others) == others
    assert crontab.without_block(others + BLOCK + b"@daily true") == others + b"@daily true"


@pytest.mark.parametrize("text", HALVES.values(), ids=HALVES)
def test_half_a_block_is_not_removed_either(text: bytes) -> None:
    with pytest.raises(HalfBlock):
        crontab.without_block(text)
