"""A connection over which nobody answers any more, and a lock that stays: minutes of waiting."""

import time

from lab import Lab
from scenarios import sleeper

QUIET = 500.0  # seconds; ssh gives up after 300, and the look why takes up to 60
HOLDING = ("sleep", "299")  # begun once the lock is held; another's stale one looks the same


def test_a_server_that_falls_silent_holds_no_backup_for_ever(enrolled: Lab) -> None:
    with sleeper.begins(enrolled) as running:
        enrolled.do("net-cut", "work")
        _out, said = running.communicate(None, QUIET)

    assert running.returncode == 1 and said.startswith(b"error: server-unreachable: ")
    assert b"\nhint: " in said
    enrolled.do("net-restore", "work")
    enrolled.server.drop_sessions()
    _is_locked_out(enrolled)
    sleeper.goes_on(enrolled)


def _is_locked_out(lab: Lab) -> None:
    """Have somebody else hold the repository's lock while the next run is due."""
    with lab.popen("work", ["borgbak", "with-lock", "::", *HOLDING], input=False):
        deadline = time.monotonic() + 300
        while lab.exec("work", ["pgrep", "-xf", " ".join(HOLDING)]).returncode != 0:
            assert time.monotonic() < deadline
            time.sleep(0.3)

        locked = lab.exec("work", sleeper.SCHEDULED)

    assert locked.returncode == 1 and locked.stderr.startswith(b"error: locked: ")
    assert b"until the server notices" in locked.stderr
    assert sleeper.last(lab)["outcome"] == "locked"
