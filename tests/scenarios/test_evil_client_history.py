"""An evil client and its own history: by borg's commands it can hide all of it, and destroy none.

Append-only lets a deletion, and even a new key, through. After each attempt the owner brings a
copy of the repository back to the last good transaction, with the key exported at its birth.
"""

import json
import time
from dataclasses import dataclass, field

import pytest

from lab import Lab
from scenarios import attacker, person, thief
from scenarios.attacker import ESC, EVIL, VICTIM
from scenarios.attempts import Attempt
from scenarios.person import HOME
from scenarios.thief import OWN, url

COPY = "repos/rolled-back"
KEPT = "/home/user/.local/share/qubes-borg"
SECRETS = f"{KEPT}/host-keys/qubes-work"
CANARY, CONTENT = "/home/user/canary.txt", b"what must not be lost\n"
# As design and borg's documentation say it: what came after the last good transaction goes.
_ROLL_BACK = """set -eu; cd "$1"; rm -rf "$3"; cp -a "$2" "$3"; cd "$3"
rm -f index.* hints.* integrity.*; rm -rf lock.*
find data -type f | while read -r file; do [ "${file##*/}" -le "$4" ] || rm "$file"; done
"""
_BORG = f"""export BORG_PASSPHRASE="$(cat {SECRETS}/borgpass)" BORG_REMOTE_PATH=borg14
export BORG_RSH="ssh -F {KEPT}/ssh_config" BORG_BASE_DIR="$(mktemp -d)"
export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes; exec borg "$@" """


@dataclass(frozen=True)
class Good:
    """What stood in the repository before the attack: its last segment, its archives."""

    segment: int
    archives: tuple[str, ...]


def _owner(lab: Lab, *words: str) -> bytes:
    """Run borg in the maintenance qube, by the admin key."""
    argv = ["/bin/sh", "-c", _BORG, "-", *words]
    return lab.exec(EVIL, argv, check=True, input=b"").stdout


def _archives(lab: Lab, path: str) -> tuple[str, ...]:
    listed = json.loads(_owner(lab, "list", "--json", f"ssh://bakadmin/./{path}"))
    return tuple(archive["name"] for archive in listed["archives"])


@pytest.fixture(scope="module")
def good(steady: Lab) -> Good:
    """Two backups, the second with a file that is known."""
    steady.exec(VICTIM, ["dd", f"of={CANARY}"], input=CONTENT, check=True)
    person.runs(steady, "qvm-borg-backup", "work")
    segments = steady.server.exec(["ls", f"{HOME}/{OWN}/data/0"], check=True).stdout.split()
    return Good(max(map(int, segments)), _archives(steady, OWN))


def _comes_back(lab: Lab, good: Good) -> None:
    """Roll a copy back, read it with what the maintenance qube keeps, put it in its place."""
    argv = ["/bin/sh", "-c", _ROLL_BACK, "-", HOME, OWN, COPY, str(good.segment)]
    lab.server.exec(argv, user="zh1234", check=True)
    _owner(lab, "key", "import", f"ssh://bakadmin/./{COPY}", f"{SECRETS}/key-export")

    assert _archives(lab, COPY) == good.archives
    newest = f"ssh://bakadmin/./{COPY}::{good.archives[-1]}"
    assert _owner(lab, "extract", "--stdout", newest, CANARY.lstrip("/")) == CONTENT
    swap = ["sh", "-euc", 'cd "$1"; rm -rf "$3"; mv "$2" "$3"', "-", HOME, COPY, OWN]
    lab.server.exec(swap, user="zh1234", check=True)
    lab.exec(VICTIM, ["rm", "-rf", "/tmp/thief"], check=True)


@dataclass(frozen=True)
class Harm(Attempt):
    """A borg command line; @ARCHIVE@ is the oldest archive, `code` what borg ends with."""

    words: tuple[str, ...]
    code: int = 0
    env: dict[str, str] = field(default_factory=dict)


_HIDDEN = "accepted and hidden; a rollback brings it back"
_NOTHING = "accepted, and does nothing: the server only appends"
_APPEND_ONLY = "borg on the server refuses: append-only"
HARMS = {
    "rename": Harm("rename an archive", _HIDDEN, ("rename", f"{url(OWN)}::@ARCHIVE@", "gone")),
    "recreate": Harm(
        "take a file out of every archive", _HIDDEN,
        ("recreate", "--exclude", f"*{CANARY}", url(OWN))),
    "delete": Harm(
        "delete archives", _HIDDEN, ("delete", "--glob-archives", "work-*", url(OWN))),
    "junk": Harm(
        "forge an archive of the year 2030", "accepted; it is one more archive",
        ("create", "--timestamp", "2030-01-01T00:00:00", f"{url(OWN)}::work-2030", "/etc/hosts")),
    "prune": Harm("prune to the newest archive", _HIDDEN, ("prune", "--keep-last", "1", url(OWN))),
    "delete-object": Harm(
        "delete the manifest itself", _HIDDEN, ("debug", "delete-obj", url(OWN), "0" * 64)),
    "compact": Harm("compact", _NOTHING, ("compact", "--threshold", "0", url(OWN))),
    "cleanup-commits": Harm(
        "compact with `--cleanup-commits`", _NOTHING, ("compact", "--cleanup-commits", url(OWN))),
    "delete-repository": Harm("delete the repository", _APPEND_ONLY, ("delete", url(OWN)), 2),
    "repair": Harm("`check --repair`", _APPEND_ONLY, ("check", "--repair", url(OWN)), 2),
    "config": Harm(
        "switch append-only off by `borg config`", "borg refuses: only where the repository lies",
        ("config", url(OWN), "append_only", "0"), 2),
    "break-lock": Harm("`break-lock`", "accepted; a lock of its own", ("break-lock", url(OWN))),
    "change-passphrase": Harm(
        "`key change-passphrase`", "accepted; the key exported at the birth brings access back",
        ("key", "change-passphrase", url(OWN)), 0, {"BORG_NEW_PASSPHRASE": "evil"}),
    "rubbish-for-a-key": Harm(
        "`key import` of rubbish", "accepted; the key exported at the birth brings access back",
        ("key", "import", url(OWN), "-")),
}  # fmt: skip


@pytest.mark.parametrize("row", HARMS.values(), ids=HARMS)
def test_what_it_does_to_its_history_can_be_undone(steady: Lab, good: Good, row: Harm) -> None:
    words = [word.replace("@ARCHIVE@", good.archives[0]) for word in row.words]
    export = steady.exec(EVIL, ["cat", f"{SECRETS}/key-export"], check=True).stdout
    rubbish = export.split(b"\n")[0] + b"\n" + b"QUFB" * 20 + b"\n"

    done = thief.borg(steady, *words, env=row.env, data=rubbish)

    assert done.returncode == row.code, done.stderr
    _comes_back(steady, good)


OWNER = {
    "noticed": Attempt(
        "back up after a stranger's key is in its place",
        "the next backup fails, and its hint names the exported key"),
    "brought-back": Attempt("the same, after the owner's `key import`", "backups go on"),
    "export-not-replaced": Attempt(
        "wait until an enrolment exports its forged key over the one of the birth",
        "the export is never written over; the enrolment ends with exit code 19"),
}  # fmt: skip


def test_the_owner_notices_a_changed_key_and_comes_back_in(steady: Lab, good: Good) -> None:
    changed = {"BORG_NEW_PASSPHRASE": "evil"}
    assert thief.borg(steady, "key", "change-passphrase", url(OWN), env=changed).returncode == 0

    said = person.is_refused(steady, "qvm-borg-backup", "work", code=19, says="does not open")
    assert "the key exported at enrolment opens it still" in said

    _owner(steady, "key", "import", f"ssh://bakadmin/./{OWN}", f"{SECRETS}/key-export")
    assert "archive work-" in person.runs(steady, "qvm-borg-backup", "work")
    assert _archives(steady, OWN)[:-1] == good.archives


def test_a_key_of_the_clients_making_never_replaces_the_export(steady: Lab) -> None:
    same = steady.exec(VICTIM, ["cat", ".ssh/backups/borgpass"], check=True).stdout.decode()
    before = steady.exec(EVIL, ["cat", f"{SECRETS}/key-export"], check=True).stdout
    same = {"BORG_NEW_PASSPHRASE": same.strip()}
    assert thief.borg(steady, "key", "change-passphrase", url(OWN), env=same).returncode == 0

    person.is_refused(steady, "qvm-borg-enroll", "work", "--no-escrow", code=19,
                      says="its key is not the one of its birth")  # fmt: skip

    assert steady.exec(EVIL, ["cat", f"{SECRETS}/key-export"], check=True).stdout == before
    _owner(steady, "key", "import", f"ssh://bakadmin/./{OWN}", f"{SECRETS}/key-export")
    assert "nothing was changed" in person.runs(steady, "qvm-borg-enroll", "work", "--no-escrow")


SHOWN = {
    "archive-name": Attempt(
        "an archive whose name is an escape sequence, then `qvm-borg-restore`",
        "never taken for the newest, and never shown"),
    "comment": Attempt(
        "an escape sequence as an archive's comment, then `qvm-borg-restore`", "never shown"),
}
_NAMES = {"archive-name": (f"work-{ESC}", "", 21), "comment": ("work-2031-01-01T00:00:00", ESC, 0)}


@pytest.mark.parametrize(("name", "comment", "code"), _NAMES.values(), ids=SHOWN)
def test_an_archive_shows_nothing_of_its_own_in_dom0(
    steady: Lab, name: str, comment: str, code: int
) -> None:
    create = ("create", "--comment", comment, f"{url(OWN)}::{name}", "/etc/hosts")
    assert thief.borg(steady, *create).returncode == 0
    target = f"/home/user/back-{time.time_ns()}"
    restore = ("qvm-borg-restore", "work", "/etc/hosts", "--to-directory", target)

    said = person.runs(steady, *restore, code=code)

    assert "\x1b" not in said and "owned" not in said
    assert attacker.calling(steady) == b""


FILL = {"fill": Attempt(
    "fill the account", "its backup ends with exit code 18, the admin still logs in, and what "
    "was there comes back; a quota keeps it from taking the others' space")}  # fmt: skip


def test_it_can_fill_the_account_and_no_more(steady: Lab, good: Good) -> None:
    fill = ["sh", "-c", "head -c 90000000 /dev/urandom > rubbish"]
    steady.exec(VICTIM, fill, check=True)

    person.is_refused(steady, "qvm-borg-backup", "work", code=18, says="full")

    steady.exec(VICTIM, ["rm", "rubbish"], check=True)
    assert set(good.archives) <= set(_archives(steady, OWN))
