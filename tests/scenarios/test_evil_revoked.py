"""An evil client whose key is revoked: it lies about its bundle, and comes back with all it had.

Whatever it answers, its key goes off the server first; what it keeps opens nothing.
"""

import pytest

from lab import Lab
from scenarios import attacker, attempts, person, state, thief
from scenarios.attacker import ESC, MARK, VICTIM, Actions, says
from scenarios.attempts import Attempt

REVOKE = ("qvm-borg-revoke", "work")
OK = "nonce=@NONCE@\noutcome=ok\n"
GOOD = f"{OK}changed=yes\nsettings=removed\n"
LIES: dict[str, Actions] = {
    "another-word": says(f"{OK}changed=yes\nsettings={MARK}\n"),
    "escapes": says(f"{OK}changed=yes\nsettings={ESC}\n"),
    "old-nonce": says(GOOD.replace("@NONCE@", "f" * 32)),
    "two-replies": says(GOOD + GOOD),
    "progress": says(f"progress=backup 1 1\n{GOOD}"),
    "flood": [["read"], ["flood", f"{MARK}\n"]],
    "nothing": [["read"], ["exit", 0]],
    "gone": [["read"], ["exit", 255]],
    "endless-backup": says("nonce=@NONCE@\noutcome=locked\ndetail=another backup runs\n"),
}
ANSWERS = attempts.named(
    "answer the removal of its bundle", "told in dom0's own words, its key is off the server", LIES)


def _is_shut_out(lab: Lab) -> None:
    login = thief.ssh(lab, ["true"])
    assert login.returncode == 255 and b"Permission denied (publickey)" in login.stderr
    listed = thief.borg(lab, "list", thief.url(thief.OWN))
    assert listed.returncode != 0 and b"work-" not in listed.stdout


@pytest.mark.parametrize("actions", LIES.values(), ids=LIES)
def test_whatever_it_answers_it_is_shut_out(enrolled: Lab, actions: Actions) -> None:
    attacker.shadows(enrolled, "qborg.RemoveBundle", *actions)

    said = person.runs(enrolled, *REVOKE, code=11)

    assert "the key of qubes-work is revoked, and not all of the rest is done" in said
    assert MARK not in said and "\x1b" not in said
    assert state.gates(enrolled) == [] and attacker.calling(enrolled) == b""
    _is_shut_out(enrolled)
    attacker.repents(enrolled)
    assert "qubes-work: revoked" in person.runs(enrolled, *REVOKE)


BACK = {
    "keeps-its-bundle": Attempt(
        "say that it removed its bundle, and keep it", "the key that it keeps opens nothing"),
    "calls-itself-enrolled": Attempt(
        "after that, be backed up or enrolled by dom0", "not enrolled: exit codes 24 and 13"),
    "open-session": Attempt(
        "hold a session open over the revocation, and log in once more",
        "the session lasts until it ends, no other begins"),
}


def test_what_it_keeps_opens_nothing(enrolled: Lab) -> None:
    attacker.shadows(enrolled, "qborg.RemoveBundle", *says(GOOD))

    person.runs(enrolled, *REVOKE)

    assert enrolled.exec(VICTIM, ["test", "-e", ".ssh/backups/borgpass"]).returncode == 0
    _is_shut_out(enrolled)
    attacker.repents(enrolled)
    assert enrolled.exec(VICTIM, ["qborg-run"]).returncode == 1
    person.is_refused(enrolled, "qvm-borg-backup", "work", code=24, says="is not enrolled")
    person.is_refused(enrolled, "qvm-borg-enroll", "work", "--no-escrow", code=13,
                      says="its key was revoked")  # fmt: skip


def test_a_session_of_before_is_the_last_one(enrolled: Lab) -> None:
    argv = [*thief.SSH, person.SERVER, "borg14", "serve"]
    with enrolled.popen(VICTIM, argv) as session:
        look = "grep -lazE '^borg14$|/borg14$' /proc/[0-9]*/cmdline"
        while not enrolled.server.exec(["sh", "-c", look]).stdout:
            assert session.returncode is None
        attacker.shadows(enrolled, "qborg.RemoveBundle", *says(GOOD))

        person.runs(enrolled, *REVOKE)

        assert session.returncode is None
        _is_shut_out(enrolled)
