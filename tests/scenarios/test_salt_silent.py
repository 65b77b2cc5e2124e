"""Salt that did not do what it was started for: qubesctl says so only in some of these cases.

dom0's sudo is replaced here, so that it ends as qubesctl may end; qubesctl is an empty file. What
real Salt does is in tests/salt.
"""

import re
import time

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.refusal import Refused, changes_nothing

SETUP = "qvm-borg-setup"


@pytest.mark.parametrize(("templates", "code", "says"), [
    (("bare",), 0, r"bare: qubesctl ended with 0; .*: qborg\.InstallBundle qborg\.CheckSetup"),
    (("debian-13", "bare"), 20, r"bare: qubesctl ended with 20; .*: qborg\.InstallBundle"),
    (("debian-13",), 20, "ended with 20 for debian-13; their services are there"),
], ids=["nothing-was-to-do", "the-second-failed", "failed-though-they-are-there"])  # fmt: skip
def test_only_what_is_there_afterwards_counts(
    ready: Lab, templates: tuple[str, ...], code: int, says: str
) -> None:
    bent.salt_ends(ready, code)
    before = state.everything(ready)

    said = person.is_refused(ready, SETUP, "--salt", *templates, code=22, says="qubesctl ended")

    assert re.search(says, said), said
    assert re.search(r"/var/log/qubes/mgmt-(bare|NAME)\.log", said)
    changed = state.changes(before, state.everything(ready))
    assert changed == [], changed


def test_qubesctl_is_started_for_these_alone_and_the_set_up_goes_on(ready: Lab) -> None:
    bent.salt_ends(ready, 0)

    said = person.runs(ready, SETUP, "--salt", "debian-13")

    told = bent.salt_was_asked(ready).split("\n")
    assert told == ["-n", "/usr/bin/qubesctl", "--skip-dom0", "--max-concurrency=1",
                    "--targets=debian-13", "state.sls", "qubes-borg", ""]  # fmt: skip
    assert re.search(r"debian-13 has our packages; shut it down, then restart what still runs as "
                     r"before: (?=.*\bwork\b)(?=.*\bborg-maintenance\b)", said), said
    assert "set up; next" in said and "nothing was changed" not in said


@pytest.mark.parametrize("row", [
    Refused(("--salt", "debian-13", "nobody"), 5, "no qube named nobody"),
    Refused(("--salt", "debian-13", "work"), 22, "work keeps no packages"),
    Refused(("--salt", "dom0"), 2, "argument --salt"),
    Refused(("--salt", "--targets=all"), 2, "argument --salt"),
], ids=["unknown-name", "would-forget", "dom0", "option-of-qubesctl"])  # fmt: skip
def test_what_qubesctl_would_not_notice_never_reaches_it(ready: Lab, row: Refused) -> None:
    bent.salt_ends(ready, 0)
    person.runs(ready, SETUP)

    changes_nothing(ready, SETUP, row)

    assert ready.exec("dom0", ["test", "-e", bent.SALT_ASKED]).returncode == 1


def test_a_dom0_without_it_is_told_so(ready: Lab) -> None:
    bent.salt_ends(ready, 0)
    bent.root_does(ready, "dom0", "rm /usr/bin/qubesctl")

    person.is_refused(ready, SETUP, "--salt", "debian-13", code=22, says="no qubesctl here")


def test_one_that_is_stopped_waits_for_it(ready: Lab) -> None:
    """Else the next command would have a second one, and both the same disposable."""
    bent.salt_ends(ready, 0)
    script = f"#!/bin/sh\ntouch {bent.SALT_ASKED}\nsleep 5\ntouch {bent.SALT_ASKED}.done\n"
    ready.exec("dom0", ["dd", "of=/usr/bin/sudo"], user="root", input=script.encode(), check=True)
    tool = ready.popen("dom0", (SETUP, "--salt", "debian-13"), input=False)
    deadline = time.monotonic() + 300
    while ready.exec("dom0", ["test", "-e", bent.SALT_ASKED]).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    ready.exec("dom0", ["pkill", "-TERM", "-f", f"{SETUP} --salt"], check=True)

    out, err = tool.communicate(None, 300)
    tool.close()
    assert tool.returncode == 128 + 15 and b"error: stopped" in err, out + err
    assert ready.exec("dom0", ["test", "-e", f"{bent.SALT_ASKED}.done"]).returncode == 0
