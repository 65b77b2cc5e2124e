"""An evil server as borg's peer: it serves another repository than the one that was left there.

borg in the client holds the key, and remembers the repository's id, its kind of encryption and
the time of its newest manifest. A borg that has lost that memory, by a lost volume, does not see a
rollback: the row says so.
"""

import signal
import time
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, bent, evil_server, person
from scenarios.attacker import QUICK, VICTIM
from scenarios.attempts import Attempt
from scenarios.evil_server import ESC
from scenarios.person import HOME

BACKUP = ("qvm-borg-backup", "work")
ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
TARGET = "/home/user/back"
RESTORE = ("qvm-borg-restore", "work", "/etc/hostname", "--to-directory", TARGET)
OWN, BORG = "repos/qubes-work", "/etc/lab/borg/borg14"
FORGET = ["rm", "-rf", ".config/borg", ".cache/borg"]

_DELETED = f"rm -rf {OWN}"
# A repository that needs no key, with an archive newer than all: `mv` fails before the birth.
_PLAIN = f"""mv {OWN} kept || mkdir -p repos
export BORG_BASE_DIR=/tmp/evil BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
{BORG} init -e none {OWN}; mkdir /tmp/etc; echo OWNED > /tmp/etc/hostname; cd /tmp
{BORG} create {HOME}/{OWN}::work-2030-01-01T00:00:00 etc/hostname; cd {HOME}"""
_SAME_ID = f'{_PLAIN}; sed -i "s/^id = .*/$(grep ^id kept/config)/" {OWN}/config'
_ROLLED_BACK = f"""cd {OWN}; rm -f index.* hints.* integrity.*
for file in data/0/*; do [ "${{file##*/}}" -le 3 ] || rm "$file"; done"""
_BENT = f"""cd {OWN}/data/0
for file in *; do printf OWNED | dd "of=$file" bs=1 seek=200 conv=notrunc; done"""

# Of the segment that holds the files, so that the manifest and the commits stay whole.
_BENT_DATA = f"""cd {OWN}/data/0; file="$(ls -S | head -n 1)"
printf OWNED | dd "of=$file" bs=1 seek=1000 conv=notrunc"""


def _does(lab: Lab, script: str) -> None:
    argv = ["/usr/bin/env", "-C", HOME, f"HOME={HOME}", "/bin/sh", "-uc", f"{script}\n:"]
    lab.server.exec(argv, user="zh1234", check=True)


@dataclass(frozen=True)
class Served(Attempt):
    """What the server does to the repository, which command finds it, and how that ends.

    `forgotten`: the client's borg has lost its memory.
    """

    script: str
    code: int
    says: str
    command: tuple[str, ...] = BACKUP
    forgotten: bool = False


_NO_FILE = "; no file of it is written"
SERVED = {
    "deleted": Served(
        "delete the repository", "the next backup: exit code 19", _DELETED, 19,
        "not on the server"),
    "unencrypted": Served(
        "serve an unencrypted repository in its place", "nothing is sent: exit code 9",
        _PLAIN, 9, "Cache initialization aborted"),
    "unencrypted-same-id": Served(
        "the same, with the repository's own id", "nothing is sent: exit code 9",
        _SAME_ID, 9, "encryption method changed"),
    "unencrypted-forgotten": Served(
        "the same, to a client whose borg has lost its memory", "nothing is sent: exit code 9",
        _SAME_ID, 9, "Cache initialization aborted", BACKUP, True),
    "unencrypted-restore": Served(
        "forge an archive in an unencrypted repository, then a restore",
        f"exit code 9{_NO_FILE}", _PLAIN, 9, "Cache initialization aborted", RESTORE),
    "unencrypted-restore-same-id": Served(
        "the same, with the repository's own id", f"exit code 9{_NO_FILE}",
        _SAME_ID, 9, "encryption method changed", RESTORE),
    "unencrypted-restore-forgotten": Served(
        "the same, to a client whose borg has lost its memory", f"exit code 9{_NO_FILE}",
        _SAME_ID, 9, "Cache initialization aborted", RESTORE, True),
    "key-withheld": Served(
        "withhold the repository's key", "exit code 21", f"sed -i '/^key/,$d' {OWN}/config", 21,
        "No key entry"),
    "rolled-back": Served(
        "bring the repository back to before its newest archive, then a backup",
        "borg remembers a newer manifest: exit code 9", _ROLLED_BACK, 9, "an attack or unsafe"),
    "rolled-back-restore": Served(
        "the same, then a restore", f"exit code 9{_NO_FILE}", _ROLLED_BACK, 9,
        "an attack or unsafe", RESTORE),
    "damaged": Served(
        "change bytes in every segment, then a restore", f"exit code 9{_NO_FILE}",
        _BENT, 9, "Inconsistency detected", RESTORE),
}  # fmt: skip


@pytest.mark.parametrize("row", SERVED.values(), ids=SERVED)
def test_another_repository_than_ours_is_noticed(enrolled: Lab, row: Served) -> None:
    _does(enrolled, row.script)
    if row.forgotten:
        enrolled.exec(VICTIM, FORGET, check=True)

    said = attacker.is_seen_through(enrolled, *row.command, code=row.code)

    assert row.says in said
    assert enrolled.exec(VICTIM, ["ls", TARGET]).returncode != 0


def test_a_repository_of_another_key_is_noticed(enrolled: Lab) -> None:
    bent.makes_a_foreign_repository(enrolled, "qubes-work")

    attacker.is_seen_through(enrolled, *BACKUP, code=19)


OTHERS = {"another-key": Attempt(
    "serve an encrypted repository of another key", "it does not open: exit code 19")}
UNSEEN = {
    "rolled-back-forgotten": Served(
        "bring the repository back to before its newest archive, to a client whose borg has lost "
        "its memory", "**not noticed**: the backup goes on there", _ROLLED_BACK, 0, "archive work-",
        BACKUP, True),
    "append-only-off": Served(
        "switch off that the repository only appends", "**not noticed**: the forced command still "
        "says `--append-only`, which holds as long as the server runs it",
        f"sed -i 's/append_only = 1/append_only = 0/' {OWN}/config", 0, "archive work-"),
    "damaged-data": Served(
        "change bytes of an older archive, then a backup", "**not noticed** by the backup, which "
        "reads nothing old; `borgbak check` tells", _BENT_DATA, 0, "archive work-"),
}  # fmt: skip


@pytest.mark.parametrize("row", UNSEEN.values(), ids=UNSEEN)
def test_what_nobody_notices_today(enrolled: Lab, row: Served) -> None:
    _does(enrolled, row.script)
    if row.forgotten:
        enrolled.exec(VICTIM, FORGET, check=True)

    assert row.says in person.runs(enrolled, *row.command)
    checked = enrolled.exec(VICTIM, ["borgbak", "check"]).returncode
    assert (checked != 0) == (row.script == _BENT_DATA)


BIRTH = {"unencrypted-birth": Attempt(
    "have an unencrypted repository there before the first one is made",
    "never taken for ours: exit code 19")}  # fmt: skip


def test_an_unencrypted_repository_is_never_taken_for_ours(ready: Lab) -> None:
    _does(ready, _PLAIN)

    attacker.is_seen_through(ready, *ENROL, code=19)


@dataclass(frozen=True)
class Peer(Attempt):
    """What the server runs where its authorized_keys says `borg serve`."""

    script: str
    code: int


_RECORD = ('{"type":"log_message","levelname":"ERROR","name":"borg","msgid":"LockTimeout",'
           '"message":"x"}')  # fmt: skip
_FORGED = f"printf '%s\\n' '{_RECORD}' >&2"
PEERS = {
    "flood": Peer("words without an end instead of borg's protocol", "exit code 9",
                  "exec yes x", 9),
    "silent-end": Peer("an end at once instead of borg's protocol", "exit code 17", "exit 0", 17),
    "no-borg": Peer("that borg is not there", "exit code 22, as it says", "exit 127", 22),
    "escapes": Peer(
        "escape sequences beside borg's protocol", "not shown; the backup is good",
        f"{ESC} >&2; real; exit", 0),
    "forged-log": Peer(
        "a forged record of borg's log beside a good backup", "not believed; the backup is good",
        f"{_FORGED}; real; exit", 0),
    "forged-log-and-end": Peer(
        "a forged record of borg's log instead of the protocol",
        "not believed: exit code 17; a line of its words is shown, as printable ASCII",
        f"{_FORGED}; exit 1", 17),
}  # fmt: skip


@pytest.mark.parametrize("row", PEERS.values(), ids=PEERS)
def test_what_it_says_instead_of_borg_is_withstood(enrolled: Lab, row: Peer) -> None:
    evil_server.turns(enrolled, ("*serve*", row.script))

    if row.code == 0:
        assert "archive work-" in (said := person.runs(enrolled, *BACKUP))
    else:
        said = evil_server.is_withstood(enrolled, *BACKUP, code=row.code)

    assert "owned" not in said.lower() and "\x1b" not in said


ENDLESS = {
    "silence": Attempt(
        "take the backup's connection and say nothing", "the backup waits; Ctrl-C ends it"),
    "noise": Attempt(
        "words without an end beside the backup", "the backup lasts as long; Ctrl-C ends it"),
}
_ENDLESS = {"silence": "sleep 600", "noise": "exec yes x >&2"}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_it_never_ends_a_person_can(enrolled: Lab, name: str) -> None:
    evil_server.turns(enrolled, ("*serve*", f"touch /tmp/serving; {_ENDLESS[name]}"))

    with enrolled.popen("dom0", BACKUP) as tool:
        wait = "until [ -e /tmp/serving ]; do sleep 0.1; done"
        enrolled.server.exec(["timeout", "300", "sh", "-c", wait], check=True)
        time.sleep(2)
        assert tool.returncode is None
        tool.send_signal(signal.SIGINT)
        _out, err = tool.communicate(None, QUICK)

    assert tool.returncode == 130 and b"owned" not in err.lower()
    assert attacker.calling(enrolled) == b""
