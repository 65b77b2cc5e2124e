"""The user's settings: a slip is counted, never obeyed and never fatal."""

import pytest

from qborg_client import settings
from qborg_client.settings import Settings


def test_the_file_we_make_says_the_defaults() -> None:
    assert settings.parse(settings.TEXT) == Settings()


def test_values_comments_and_spaces() -> None:
    text = "interval_hours=6 # often\n  upload_limit_kib =  512  \npause=1\npause_if_metered = 1"

    assert settings.parse(text) == Settings(6, 512, 1, 1)


SLIPS = {
    "unknown": "interval = 6",
    "no-number": "interval_hours = often",
    "zero": "interval_hours = 0",
    "too-much": "interval_hours = 8761",
    "pause-for-hours": "pause = 2",
    "paused-by-a-word": "pause_if_metered = yes",
    "negative": "interval_hours = -1",
    "huge": "interval_hours = 99999999999999999999",
    "other-digits": "interval_hours = \u0666",
    "code": "interval_hours = __import__('os')",
    "bytes": "\x00\x1b[31m",
}


@pytest.mark.parametrize("line", SLIPS.values(), ids=SLIPS)
def test_a_slip_leaves_the_default_and_is_told(line: str) -> None:
    assert settings.parse(f"\n{line}\n") == Settings(refused=(2,))
