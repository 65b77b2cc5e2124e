"""A scheduled backup in a qube that sleeps: it goes on, at once or from its last checkpoint."""

import time

from lab import Lab
from scenarios import sleeper


def test_a_backup_survives_a_sleep_of_its_qube(enrolled: Lab) -> None:
    with sleeper.begins(enrolled) as running:
        enrolled.do("pause", "work")
        time.sleep(5)
        enrolled.do("unpause", "work")

        assert running.communicate(None, 200) == (b"", b"") and running.returncode == 0

    made = sleeper.last(enrolled)
    assert made["outcome"] == "ok" and made["seconds"] >= 5 and made["files"] >= 60


def test_a_sleep_for_which_the_server_did_not_wait_costs_little(enrolled: Lab) -> None:
    with sleeper.begins(enrolled) as running:
        enrolled.do("pause", "work")
        enrolled.server.drop_sessions()
        enrolled.do("unpause", "work")

        _out, said = running.communicate(None, 200)

    assert running.returncode == 1 and said.startswith(b"error: connection-failed: ")
    assert sleeper.last(enrolled)["outcome"] == "connection-failed"
    sleeper.goes_on(enrolled)
