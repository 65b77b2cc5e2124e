"""Names of archives: from borg's JSON and from nothing else."""

import json
import re
import sys
import time
from dataclasses import replace

import pytest

from qborg_borg import archives, command
from qborg_borg.bundle import skeletons
from qborg_borg.command import Access
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_borg.outcome import Outcome
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret
from unit.borg.bundles import REPOSITORY

ACCESS = Access("ssh://x/./repos/m-work", "borg", "ssh", Secret(b"x"))
# Borg of a repository with the archives that stand first: their names are of the time they were
# made at, and the server may tell of others than it is asked for.
BORG = """
import fnmatch, json, sys
kept, words = json.loads(sys.argv[1]), sys.argv[2:]
glob = words[words.index("--glob-archives") + 1]
found = [name for name in kept if fnmatch.fnmatchcase(name, glob) or name.startswith("evil")]
print(json.dumps({"archives": [{"name": name, "time": name[-19:]} for name in found]}))
"""
FIRST, SECOND = "work-2026-01-31T10:17:00", "work-2026-02-01T11:18:01"
SOON, FUTURE = (time.strftime("work-%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + seconds))
                for seconds in (60, 3 * 86400))  # fmt: skip


def outcome(stdout: bytes) -> Outcome:
    """Answer a run of borg that printed this."""
    return Outcome(0, None, (), stdout)


def test_the_order_is_borgs() -> None:
    listing = {"archives": [{"name": "a"}, {"name": "b"}], "repository": {}}

    assert archives.read_names(outcome(json.dumps(listing).encode())) == ("a", "b")


BROKEN = {
    "empty": b"",
    "list": b"[]",
    "no-archives": b"{}",
    "null": b'{"archives": null}',
    "nameless": b'{"archives": [{}]}',
    "numbers": b'{"archives": [1]}',
    "cut": b'{"archives": [{"name": "a"}',
    "not-utf-8": b"\xff",
}


@pytest.mark.parametrize("stdout", BROKEN.values(), ids=BROKEN)
def test_what_is_no_list_is_a_failure(stdout: bytes) -> None:
    with pytest.raises(ServiceFailure) as failed:
        archives.read_names(outcome(stdout))

    assert failed.value.cause == "borg-failed"


def _newest(monkeypatch: pytest.MonkeyPatch, qube: str, kept: list[str]) -> str:
    argv = [sys.executable, "-I", "-c", BORG, json.dumps(kept)]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])
    return archives.newest(ACCESS, qube)


NEWEST = {
    "one": ("work", [FIRST], FIRST), "the-last": ("work", [FIRST, SECOND], SECOND),
    "a-persons-own": ("work", [FIRST, "work-notes", "work-2026", "notes"], FIRST),
    "nearly": ("work", [FIRST, f"{SECOND}.1", f"x{SECOND}", SECOND.replace("T", " ")], FIRST),
    "another-qubes": ("work", [FIRST, f"work-{SECOND}", SECOND.replace("work", "home")], FIRST),
    "a-dot-is-a-dot": ("w.rk", [FIRST.replace("o", "."), SECOND], FIRST.replace("o", ".")),
    "in-any-order": ("work", [SECOND, FIRST], SECOND),
    "unasked": ("work", [FIRST, f"evil-{SECOND}"], FIRST),
    "of-the-future": ("work", [FIRST, SECOND, FUTURE], SECOND),
    "of-the-future-alone": ("work", [FUTURE], FUTURE),
    "of-another-clock": ("work", [FIRST, SOON], SOON),
}


@pytest.mark.parametrize(("qube", "kept", "found"), NEWEST.values(), ids=NEWEST)
def test_the_newest_is_one_that_a_backup_made(
    monkeypatch: pytest.MonkeyPatch, qube: str, kept: list[str], found: str
) -> None:
    assert _newest(monkeypatch, qube, kept) == found


def test_what_waits_for_a_lock_has_time_left_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "import time; time.sleep(1)" + BORG
    argv = [sys.executable, "-I", "-c", slow, json.dumps([FIRST])]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])
    monkeypatch.setattr(archives, "_SECONDS", 0.0)

    assert archives.newest(replace(ACCESS, lock_wait=60), "work") == FIRST
    with pytest.raises(ServiceFailure) as failed:
        archives.newest(replace(ACCESS, lock_wait=0), "work")
    assert failed.value.cause == "time-out"


# Archives as a server may tell them: times without their zone, and what is none of this qube's.
LISTED = """
import json, sys
print(json.dumps({"archives": json.loads(sys.argv[1])}))
"""
KEPT = [
    {"name": FIRST, "time": "2026-01-31T10:17:02.000000"},
    {"name": "work-notes", "time": "2026-01-31T12:00:00.000000"},
    {"name": SECOND, "time": "2026-02-01T11:18:03+00:00"},
    {"name": "evil\x1b[2J", "time": "2026-01-31T10:17:02"}, {"name": "a", "time": "yesterday"},
    {"name": "b"}, {"name": "c", "time": "9999-01-01T00:00:00"}, {"name": 7, "time": 8},
]
NOON = 1769860800  # 2026-01-31 12:00:00 UTC


def _lists(monkeypatch: pytest.MonkeyPatch, kept: list[dict[str, object]]) -> None:
    argv = [sys.executable, "-I", "-c", LISTED, json.dumps(kept)]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])


def test_what_can_be_told_is_told_newest_first_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    _lists(monkeypatch, KEPT)

    found, strange = archives.kept(ACCESS)

    assert [each.name for each in found] == [SECOND, "work-notes", FIRST] and strange == 5
    assert found[1].made == NOON


UNTIL = {"later": (NOON + 10**6, SECOND), "between": (NOON, FIRST), "to-the-second": (
    NOON - 6178, FIRST), "of-another-word": ("until", "until")}  # fmt: skip


@pytest.mark.parametrize(("until", "found"), UNTIL.values(), ids=UNTIL)
def test_the_newest_that_is_not_younger_is_one_that_a_backup_made(
    monkeypatch: pytest.MonkeyPatch, until: object, found: str
) -> None:
    _lists(monkeypatch, KEPT)
    word = str(until) if until == "until" else f"until:{until}"

    assert archives.named(ACCESS, word, "work") == found


OLDER = {"name": "office-2023-01-31T10:17:00", "time": "2023-01-31T10:17:02"}
NONE_OLDER: dict[str, tuple[list[dict[str, object]], str]] = {
    "old": (KEPT, f"the oldest is {FIRST}"), "none": ([], "there is none"),
    "continued": ([*KEPT, OLDER], "none of its own backups .* older ones under another name"),
    "continued-alone": ([OLDER], "older ones under another name"),
}


@pytest.mark.parametrize(("kept", "says"), NONE_OLDER.values(), ids=NONE_OLDER)
def test_where_none_is_that_old_it_says_what_there_is(
    monkeypatch: pytest.MonkeyPatch, kept: list[dict[str, object]], says: str
) -> None:
    _lists(monkeypatch, kept)

    with pytest.raises(ServiceFailure, match=says) as failed:
        archives.named(ACCESS, "until:1700000000", "work")

    assert failed.value.cause == "archive-missing"


NONE = {"empty": [], "a-persons-own-alone": ["work-notes"], "unasked": [f"evil-{SECOND}"],
        "unasked-escape": ["evil\x1b[2J"]}  # fmt: skip


@pytest.mark.parametrize("kept", NONE.values(), ids=NONE)
def test_no_other_one_is_taken_for_it(monkeypatch: pytest.MonkeyPatch, kept: list[str]) -> None:
    with pytest.raises(ServiceFailure) as failed:
        _newest(monkeypatch, "work", kept)

    assert failed.value.cause == "archive-missing"


@pytest.mark.parametrize("encryption", [REPOKEY, KEYFILE])
def test_backups_make_such_names(encryption: str) -> None:
    written = re.search(r'^archive_name_format: "{{ qube }}(.*){now:(.*)}"$',
                        skeletons(REPOSITORY, encryption)["borgmatic.yaml"], re.MULTILINE)

    assert written is not None
    assert re.fullmatch(command.STAMP, written[1] + time.strftime(written[2]))
