"""When a backup is due and when not: the user's settings, dom0's words, a metered network."""

import pytest

from qborg_client import schedule
from qborg_client.settings import Settings
from qborg_client.state import Last

NOW = 1_800_000_000
HOUR = 3600
DUE = {
    "never": (0, 24, True),
    "just-now": (NOW, 24, False),
    "yesterday": (NOW - 24 * HOUR, 24, True),
    "nearly-a-day": (NOW - 24 * HOUR + 60, 24, True),
    "half-a-day": (NOW - 12 * HOUR, 24, False),
    "in-the-future": (NOW + 1, 24, True),
    "an-hour-of-one": (NOW - HOUR + 30, 1, True),
    "a-minute-of-one": (NOW - 60, 1, False),
}


@pytest.mark.parametrize(("success", "hours", "due"), DUE.values(), ids=DUE)
def test_a_backup_is_due_when_the_last_success_is_old(success: int, hours: int, due: bool) -> None:
    assert (schedule.due_at(Last(success), hours, NOW) <= NOW) is due


INTERVALS = {
    "nobody-says": (None, "", (24, "default")),
    "dom0-says": (None, "6", (6, "dom0")),
    "the-user-says": (12, "", (12, "settings")),
    "both-say": (12, "6", (12, "settings")),
    "dom0-says-most": (None, "8760", (8760, "dom0")),
}


@pytest.mark.parametrize(("line", "dom0", "holds"), INTERVALS.values(), ids=INTERVALS)
def test_the_users_line_goes_before_dom0s_word(
    line: int | None, dom0: str, holds: tuple[int, str]
) -> None:
    made = schedule.compose(Settings(line), dom0, "", False)

    assert (made.interval_hours, made.whose) == holds
    assert (made.paused, made.slips) == ("", ())


SLIPS = ("0", "8761", "-1", "6h", " 6", "6\n", "\u0666", "9" * 5000, "1e3")


@pytest.mark.parametrize("word", SLIPS, ids=range(len(SLIPS)))
def test_a_slip_of_dom0s_is_told_and_the_default_holds(word: str) -> None:
    made = schedule.compose(Settings(), word, "", False)

    assert (made.interval_hours, made.whose, len(made.slips)) == (24, "default", 1)


PAUSES = {
    "nobody": (Settings(), "", False, ""),
    "dom0-says-no": (Settings(), "0", False, ""),
    "dom0": (Settings(), "1", False, "vm-config.qborg-pause"),
    "the-user": (Settings(pause=1), "", False, "settings"),
    "dom0-s-no-takes-nothing-back": (Settings(pause=1), "0", False, "settings"),
    "metered": (Settings(pause_if_metered=1), "", True, "metered"),
}


@pytest.mark.parametrize(("chosen", "dom0", "metered", "says"), PAUSES.values(), ids=PAUSES)
def test_who_pauses_is_told(chosen: Settings, dom0: str, metered: bool, says: str) -> None:
    made = schedule.compose(chosen, "", dom0, metered)

    assert bool(made.paused) == bool(says) and says in made.paused
    assert made.slips == ()


def test_a_slip_pauses_nothing() -> None:
    made = schedule.compose(Settings(refused=(3,)), "", "true", False)

    assert made.paused == "" and len(made.slips) == 2


PROPERTIES = {
    "yes": (b"u 1\n", True), "no": (b"u 2\n", False), "guessed-yes": (b"u 3\n", True),
    "guessed-no": (b"u 4\n", False), "unknown": (b"u 0\n", False), "nothing": (b"", False),
    "more": (b"u 1\nu 1\n", False), "another-type": (b's "1"\n', False), "bytes": (b"\xff", False),
}  # fmt: skip


@pytest.mark.parametrize(("text", "metered"), PROPERTIES.values(), ids=PROPERTIES)
def test_networkmanagers_answer_is_read(text: bytes, metered: bool) -> None:
    assert schedule.is_metered(text) is metered
