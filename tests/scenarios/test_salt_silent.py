"""Salt that did not do what it was started for: qubesctl says so only in some of these cases.

dom0's sudo is replaced here, so that it ends as qubesctl may end. What real Salt does is in
tests/salt.
"""

import re

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.refusal import Refused, changes_nothing

SETUP = "qvm-borg-setup"
ASKED = "/var/tmp/asked"


def _ends(lab: Lab, code: int) -> None:
    """Let qubesctl do nothing but end with CODE, and keep the words that it was started with."""
    script = f'#!/bin/sh\nprintf "%s\\n" "$@" > {ASKED}\nexit {code}\n'
    lab.exec("dom0", ["/usr/bin/install", "-m", "755", "/dev/stdin", "/usr/bin/sudo"],
             user="root", input=script.encode(), check=True)  # fmt: skip


@pytest.mark.parametrize(("template", "code", "says"), [
    ("bare", 0, r"ended with 0; .*: qborg\.InstallBundle qborg\.CheckSetup"),
    ("bare", 20, r"ended with 20; .*: qborg\.InstallBundle"),
    ("debian-13", 20, "ended with 20; services that it does not offer: none"),
], ids=["nothing-was-to-do", "failed", "failed-though-they-are-there"])  # fmt: skip
def test_only_what_is_there_afterwards_counts(
    ready: Lab, template: str, code: int, says: str
) -> None:
    _ends(ready, code)
    before = state.everything(ready)

    said = person.is_refused(
        ready, SETUP, "--salt", template, code=22, says=f"{template}: qubesctl")

    assert re.search(says, said), said
    assert f"/var/log/qubes/mgmt-{template}.log" in said
    changed = state.changes(before, state.everything(ready))
    assert changed == [], changed


def test_qubesctl_is_started_for_these_alone_and_the_set_up_goes_on(ready: Lab) -> None:
    _ends(ready, 0)

    said = person.runs(ready, SETUP, "--salt", "debian-13")

    told = ready.exec("dom0", ["cat", ASKED], check=True).stdout.decode().split("\n")
    assert told == ["-n", "/usr/bin/qubesctl", "--skip-dom0", "--max-concurrency=1",
                    "--targets=debian-13", "state.sls", "qubes-borg", ""]  # fmt: skip
    assert "debian-13 has our packages; shut it down" in said
    assert re.search(r"run as it was before: (?=.*\bwork\b)(?=.*\bborg-maintenance\b)", said), said
    assert "was set up already" in said


@pytest.mark.parametrize("row", [
    Refused(("--salt", "debian-13", "nobody"), 5, "no qube named nobody"),
    Refused(("--salt", "debian-13", "work"), 22, "work keeps no packages"),
    Refused(("--salt", "dom0"), 2, "argument --salt"),
    Refused(("--salt", "--targets=all"), 2, "argument --salt"),
], ids=["unknown-name", "would-forget", "dom0", "option-of-qubesctl"])  # fmt: skip
def test_what_qubesctl_would_not_notice_never_reaches_it(ready: Lab, row: Refused) -> None:
    _ends(ready, 0)
    person.runs(ready, SETUP)

    changes_nothing(ready, SETUP, row)

    assert ready.exec("dom0", ["test", "-e", ASKED]).returncode == 1


def test_a_dom0_without_it_is_told_so(ready: Lab) -> None:
    bent.root_does(ready, "dom0", "rm -f /usr/bin/sudo")

    person.is_refused(ready, SETUP, "--salt", "debian-13", code=1, says="/usr/bin/sudo")
