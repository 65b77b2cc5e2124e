"""What becomes of a revoked qube's repository: kept, frozen, deleted, and its name used again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab import Lab
from scenarios import bent, old_world, person, state, thief
from scenarios.attacker import EVIL as KEEPER
from scenarios.person import HOME
from scenarios.refusal import Refused, changes_nothing

REVOKE = ("qvm-borg-revoke", "work")
ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
DELETE = ("work", "--delete-repository")
_REGISTRY = "/home/user/.local/share/qubes-borg/registry.json"
_TYPES = """import pty, sys
def typed(descriptor):
    import os
    return os.read(descriptor, 1024)
status = pty.spawn(["qvm-borg-revoke", "work", "--delete-repository"], typed)
sys.exit(status >> 8)
"""


def _there(lab: Lab) -> list[str]:
    listed = lab.server.exec(["ls", "-A", f"{HOME}/repos"], check=True)
    return listed.stdout.decode().split()


def _entry(lab: Lab) -> dict[str, Any]:
    found = json.loads(lab.exec(KEEPER, ["cat", _REGISTRY], check=True).stdout)
    entry: dict[str, Any] = found["repositories"]["qubes-work"]
    return entry


def _at_a_terminal(lab: Lab, answer: str) -> tuple[int, str]:
    """Run the deletion at a terminal of its own, and type ANSWER."""
    done = lab.run(["python3", "-c", _TYPES], input=f"{answer}\n".encode(), timeout=900)
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("answer", ["", "y", "yes", "work", "qubes-Work", "qubes-work2"])
def test_a_declined_deletion_changes_nothing(steady: Lab, answer: str) -> None:
    before = state.everything(steady)

    code, said = _at_a_terminal(steady, answer)

    assert code == 28 and "error: qubes-work was not confirmed to be deleted" in said
    assert "repos/qubes-work on zh1234@backup.example is deleted with all its archives" in said
    assert state.everything(steady) == before


def test_without_a_terminal_it_has_to_be_said(steady: Lab) -> None:
    changes_nothing(steady, "qvm-borg-revoke", Refused(DELETE, 28, "was not confirmed"))


WORDS = {
    "quarantine-and-delete": (*DELETE, "--yes", "--quarantine"),
    "yes-alone": ("work", "--yes"),
    "two": ("work", "personal"),
    "climbs": ("../work",),
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_wrong_word_changes_nothing(steady: Lab, words: tuple[str, ...]) -> None:
    changes_nothing(steady, "qvm-borg-revoke", Refused(words, 2, ""))


@pytest.mark.parametrize("name", ["nobody", "qubes-nobody", "other-work", "personal"])
def test_what_was_never_enrolled_is_told(steady: Lab, name: str) -> None:
    changes_nothing(steady, "qvm-borg-revoke", Refused((name,), 24, "was ever made"))


def _becomes_anothers(lab: Lab) -> None:
    bent.makes_a_foreign_repository(lab, "qubes-work")


STRANGE: dict[str, tuple[Callable[[Lab], object], str]] = {
    "another-repository": (_becomes_anothers, "not known to be the one that was made here"),
    "a-directory": (
        lambda lab: old_world.at_server(lab, "rm -r repos/qubes-work; mkdir repos/qubes-work"),
        "is no repository"),
    "not-readable": (
        lambda lab: old_world.at_server(lab, "chmod 0 repos/qubes-work/config"),
        "is no repository"),
}


@pytest.mark.parametrize(("bend", "says"), STRANGE.values(), ids=STRANGE)
def test_what_is_not_surely_ours_is_never_deleted(
    enrolled: Lab, bend: Callable[[Lab], object], says: str
) -> None:
    bend(enrolled)

    changes_nothing(enrolled, "qvm-borg-revoke", Refused((*DELETE, "--yes"), 19, says))


def test_typed_in_full_it_is_deleted_and_the_name_is_free(enrolled: Lab) -> None:
    person.runs(enrolled, "qvm-borg-enroll", "personal", "--no-escrow")
    first = _entry(enrolled)

    code, said = _at_a_terminal(enrolled, "qubes-work")

    assert code == 0 and "repos/qubes-work is deleted" in said, said
    assert _there(enrolled) == ["qubes-personal"] and _entry(enrolled)["fate"] == "deleted"
    left = enrolled.exec(KEEPER, ["ls", "/home/user/.local/share/qubes-borg/host-keys"])
    assert left.stdout.split() == [b"qubes-personal"]
    assert "was revoked already; nothing was changed" in person.runs(enrolled, *REVOKE)
    assert "work: enrolled as qubes-work" in person.runs(enrolled, *ENROL)
    second = _entry(enrolled)
    assert second["fingerprint"] != first["fingerprint"]
    assert second["repository_id"] != first["repository_id"]
    person.runs(enrolled, "qvm-borg-backup", "personal")


def test_a_quarantine_forbids_the_deletion_until_it_is_ended(enrolled: Lab) -> None:
    said = person.runs(enrolled, *REVOKE, "--quarantine")
    assert "with its archives, in quarantine" in said

    changes_nothing(enrolled, "qvm-borg-revoke",
                    Refused((*DELETE, "--yes"), 19, "qubes-work is in quarantine"))
    assert "in quarantine" in person.runs(enrolled, *REVOKE)
    old_world.at_server(enrolled, "mv repos/qubes-work evidence")
    changes_nothing(enrolled, ENROL[0], Refused(ENROL[1:], 13, "its key was revoked"))
    old_world.at_server(enrolled, "mv evidence repos/qubes-work")
    person.runs(enrolled, "qvm-borg-revoke", *DELETE, "--no-quarantine", "--yes")

    assert _there(enrolled) == []


def test_a_revoked_name_is_not_enrolled_over_its_repository(enrolled: Lab) -> None:
    person.runs(enrolled, *REVOKE)

    row = Refused(ENROL[1:], 13, "its key was revoked, and its repository is kept")
    said = changes_nothing(enrolled, ENROL[0], row)
    assert "--delete-repository" in said
    changes_nothing(enrolled, ENROL[0], Refused(
        (*ENROL[1:], "--show-authorized-keys"), 13, "qubes-work is on the server"))


def test_moved_away_by_its_owner_it_makes_room_for_a_new_one(enrolled: Lab) -> None:
    before = thief.borg(enrolled, "list", "--short", thief.url(thief.OWN)).stdout
    person.runs(enrolled, *REVOKE)
    old_world.at_server(enrolled, "mv repos/qubes-work repos/former")

    assert "work: enrolled as qubes-work" in person.runs(enrolled, *ENROL)

    assert _there(enrolled) == ["former", "qubes-work"]
    listed = enrolled.exec("work", ["borgbak", "list", "--short"], check=True).stdout
    assert listed.startswith(b"work-") and listed != before
    kept = enrolled.exec(KEEPER, ["ls", "/home/user/.local/share/qubes-borg/revoked-keys"])
    assert kept.stdout.startswith(b"qubes-work.")


def test_a_clone_enrolled_under_its_own_name_is_untouched_by_the_originals_end(
    enrolled: Lab,
) -> None:
    bent.clones(enrolled, "work", "work2")
    bent.in_dom0(enrolled, "del app.domains['work2'].features['x-qborg']")
    person.runs(enrolled, "qvm-borg-enroll", "work2", "--no-escrow")

    person.runs(enrolled, "qvm-borg-revoke", *DELETE, "--yes")

    assert _there(enrolled) == ["qubes-work2"]
    person.runs(enrolled, "qvm-borg-backup", "work2")
