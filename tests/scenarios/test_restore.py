"""A restore: looked at before, in place, into another qube, a disposable, a new one."""

import json
from typing import Any

import pytest

from lab import Lab
from scenarios import attacker, bent, person, state
from scenarios.attempts import Attempt
from scenarios.letters import BESIDE, DOCS, LETTER, RESTORE, about, does

OTHER, DISPOSABLE = "personal", "borg-restored"


def _listed(lab: Lab, *words: str) -> Any:
    """Answer what a program reads: the progress is none of it."""
    return json.loads(lab.run([*RESTORE, *words, "--list", "--json"], check=True).stdout)


def test_a_person_looks_at_what_there_is(written: Lab) -> None:
    archives = _listed(written)["archives"]
    newest = archives[0]["name"]
    assert [each["name"] for each in reversed(archives)] == state.archives(written)
    assert newest in person.runs(written, *RESTORE, "--list").splitlines()[-1]

    said = person.runs(written, *RESTORE, "--list", DOCS, "--at", "2100-01-01")

    assert f"{newest}: 4 files" in said and "\x1b" not in said and f"{DOCS}/deep/b_[2J?" in said
    told = _listed(written, DOCS)
    assert f"{DOCS}/deep/b\x1b[2J?" in told["names"] and told["there"] == 4
    person.is_refused(written, *RESTORE, "--list", "--at", "2020-01-31", code=21,
                      says=f"the oldest is {archives[-1]['name']}")


def test_files_go_back_to_where_they_were(written: Lab, letters_were: dict[str, Any]) -> None:
    does(written, f"echo worse > {LETTER}; rm -rf {DOCS}/deep; touch {DOCS}/new")
    before = about(written)

    # One of them has a byte that borg could not print, and counts as there.
    person.is_refused(written, *RESTORE, DOCS, "--in-place", code=28, says="over 4 files")
    assert about(written) == before

    assert "4 files" in person.runs(written, *RESTORE, DOCS, "--in-place", "--yes")
    after = about(written)
    assert after.pop("new") and after == letters_were
    assert does(written, f"cat {LETTER}; ls .local/state/qubes-borg").startswith("dear\n")
    person.is_refused(written, *RESTORE, "/rw/config", "--in-place", "--yes", code=21,
                      says="outside of the home")


def test_what_is_in_the_way_stays_and_is_counted(written: Lab) -> None:
    does(written, f"rm -rf docs; mkdir -p {LETTER} elsewhere; ln -s ../elsewhere docs/deep")

    said = person.runs(written, *RESTORE, DOCS, "--in-place", "--yes")

    assert "2 files" in said and "warnings: 2" in said
    assert does(written, "ls elsewhere; stat -c %F docs/letter") == "directory\n"


ROOTS = f"{DOCS}/roots"
ELSEWHERE = {"beside": BESIDE, "in-place": ("--in-place", "--yes"), "another": ("--to", OTHER)}


@pytest.mark.parametrize("way", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_file_of_root_is_the_users_then_and_counted(written: Lab, way: tuple[str, ...]) -> None:
    bent.root_does(written, "work", f"echo x > {ROOTS}")
    person.runs(written, "qvm-borg-backup", "work")
    does(written, f"rm -f {ROOTS}")

    assert "warnings: 1" in person.runs(written, *RESTORE, DOCS, *way)
    assert "warnings: 0" in person.runs(written, *RESTORE, LETTER, "--to-directory", f"{DOCS}/x")

    if way == ELSEWHERE["in-place"]:
        assert does(written, f"stat -c %U {ROOTS}") == "user\n"


def _holds_no_secret(lab: Lab, qube: str) -> None:
    """See that nothing of what opens the repository is in a qube, in memory or on its disk."""
    passphrase = does(lab, "cat .ssh/backups/borgpass").strip()
    found = lab.exec(qube, ["grep", "-rlF", passphrase, "/dev/shm", "/rw", "/tmp", "/run", "/home"],
                     user="root")  # fmt: skip
    assert found.stdout == b""
    assert does(lab, "find /dev/shm -type f; ls -d .ssh/backups || true", qube) == ""


def test_another_qube_gets_the_files_and_no_more(
    written: Lab, letters_were: dict[str, Any]
) -> None:
    said = person.runs(written, *RESTORE, DOCS, "--to", OTHER)

    assert "4 files" in said and written.qubes()[OTHER]["state"] == "Halted"
    written.do("start", OTHER)
    folder = does(written, "ls -d restored/*", OTHER).strip()
    assert about(written, f"/home/user/{folder}{DOCS}", OTHER) == letters_were
    _holds_no_secret(written, OTHER)
    assert "service.qborg-client" not in state.qubesd(written)[OTHER]["features"]
    assert state.gates(written) == []
    # The directory is there now: neither is anything written over, nor anything sent.
    person.is_refused(written, *RESTORE, DOCS, "--to", OTHER, code=21, says="not empty")
    _holds_no_secret(written, OTHER)


def test_a_disposable_gets_all_of_it_and_stays(written: Lab) -> None:
    written.do("shutdown", "work")

    said = person.runs(written, *RESTORE, "--to-disposable")

    assert "has no network" in said and written.qubes()["work"]["state"] == "Halted"
    assert does(written, f"cat restored/*{LETTER}", DISPOSABLE) == "dear\n"
    assert state.qubesd(written)[DISPOSABLE]["netvm"] == "None"
    assert does(written, "find /dev/shm -type f", DISPOSABLE) == ""
    person.is_refused(written, *RESTORE, "--to-disposable", code=3, says="exists")
    written.do("shutdown", DISPOSABLE)
    assert DISPOSABLE not in written.qubes()


def test_a_disposable_that_gets_nothing_goes_and_the_reason_is_told(written: Lab) -> None:
    missing = (*RESTORE, "--to-disposable", "--archive", "work-2020-01-01T00:00:00")

    said = person.is_refused(written, *missing, code=21, says="there is no such archive")

    assert "cannot be killed" not in said and DISPOSABLE not in written.qubes()


def test_a_new_qube_is_made_as_it_was_and_is_an_ordinary_one(written: Lab) -> None:
    new = (*RESTORE, LETTER, "--to-new", "work-2")
    person.is_refused(written, *new, code=13, says="nobody has agreed")
    assert "work-2" not in written.qubes()

    person.runs(written, *new, "--label", "red", "--yes")

    written.do("start", "work-2")
    assert does(written, f"cat restored/*{LETTER}", "work-2") == "dear\n"
    known = state.qubesd(written)
    assert known["work-2"]["label"] == "red" and known["work-2"]["netvm"] == "sys-firewall"
    assert not [key for key in known["work-2"]["features"] if "qborg" in key]
    assert "x-qborg-client" not in known["dom0"]["features"]
    person.is_refused(written, *new, "--yes", code=13, says="there is a qube named work-2")


def _is_not_confined(lab: Lab) -> None:
    lab.do("start", OTHER)
    bent.replaces(lab, OTHER, "/usr/bin/unshare", "Operation not permitted")
    bent.root_does(lab, OTHER, "printf '#!/bin/sh\\nexit 1\\n' > /usr/bin/unshare")


REFUSED = {
    "no-such-qube": (lambda _lab: None, "nobody", 5, "no qube named nobody"),
    "itself": (lambda _lab: None, "work", 3, "cannot be the other qube"),
    "the-vault": (lambda _lab: None, "vault", 3, "cannot be the other qube"),
    "a-template": (lambda _lab: None, "debian-13", 3, "cannot be the other qube"),
    "without-the-package": (lambda _lab: None, "plain", 22, "has no qubes-borg"),
    "an-old-borg-that-nothing-keeps-in": (_is_not_confined, OTHER, 22, "older than 1.4.5"),
}


@pytest.mark.parametrize(("bends", "target", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_who_cannot_get_files_is_sent_nothing(
    written: Lab, bends: Any, target: str, code: int, says: str
) -> None:
    bends(written)
    written.faults.clear()

    person.is_refused(written, *RESTORE, "--to", target, code=code, says=says)

    assert not [call for call in written.trace() if "ReleaseRecord" in call["name"]]
    assert state.gates(written) == []


@pytest.mark.parametrize("call", ["TakeRecord", "ReceiveFiles"])
def test_a_target_that_dies_amid_leaves_nothing_open(written: Lab, call: str) -> None:
    written.faults.add(where="qrexec", match=f"qborg.{call}+qubes-work", when="after", n=0,
                       action=f"kill-qube:{OTHER}")  # fmt: skip

    assert written.run([*RESTORE, DOCS, "--to", OTHER], timeout=900).returncode not in (0, 1)

    written.faults.clear()
    assert state.gates(written) == []
    assert "service.qborg-client" not in state.qubesd(written)[OTHER]["features"]
    person.runs(written, *RESTORE, DOCS, "--to", OTHER, "--to-directory", "/home/user/again")


# An archive with a link for a directory, and with a file that lies behind it.
_WAY_OUT = """
import io, tarfile
with tarfile.open("evil.tar", "w") as tar:
    for name, kind, link in (("way", tarfile.SYMTYPE, "/home/user/.ssh"),
                             ("way/authorized_keys", tarfile.REGTYPE, "")):
        entry = tarfile.TarInfo(f"home/user/docs/{name}")
        entry.type, entry.linkname, entry.size = kind, link, 4 * (kind == tarfile.REGTYPE)
        tar.addfile(entry, io.BytesIO(b"evil"))
"""
_STAYS = "nothing is written outside of the directory"
ESCAPES = {
    "directory": Attempt("an archive with a link for a directory and a file behind it, then a "
                         "restore into a directory (CVE-2026-62268)", _STAYS),
    "in-place": Attempt("the same, in place", "nothing is written behind the link"),
    "another": Attempt("the same, into another qube", _STAYS),
    "disposable": Attempt("the same, into a disposable", _STAYS),
}
_WAYS = {"directory": (BESIDE, "work"),
         "in-place": (("--in-place", "--yes"), "work"), "another": (("--to", OTHER), OTHER),
         "disposable": (("--to-disposable",), DISPOSABLE)}  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
def test_an_archive_leads_nowhere_else(written: Lab, name: str) -> None:
    evil, (way, where) = "work-2030-01-01T00:00:00", _WAYS[name]
    written.exec("work", ["python3", "-c", _WAY_OUT], check=True)
    does(written, f"mkdir -p .ssh; borgbak import-tar ::{evil} evil.tar")
    if where == OTHER:
        written.do("start", OTHER)
        does(written, "mkdir -m 700 .ssh", OTHER)

    said = written.run([*RESTORE, DOCS, "--archive", evil, *way], timeout=900).stdout

    assert b"warnings: 0" not in said
    assert does(written, "ls .ssh/authorized_keys 2>/dev/null || true", where) == ""


LISTS = {
    "escapes": Attempt("escape sequences as the name of an archive, in its list", "exit code 8"),
    "files": Attempt("escape sequences as the name of a file, in its list", "exit code 8"),
    "endless": Attempt("a list without an end", "exit code 8"),
}
_OK = "nonce=@NONCE@\noutcome=ok\n"
_LIES: dict[str, tuple[str, attacker.Actions]] = {
    "escapes": ("ListArchives", attacker.says(
        f'{_OK}archives=[{{"name":"{attacker.ESC}","time":1}}]\nmore=0\n')),
    "files": ("ListFiles", attacker.says(
        f'{_OK}archive=a\nfiles=1\nbytes=1\nthere=0\nnames=["{attacker.ESC}"]\nmore=0\n')),
    "endless": ("ListFiles", [["read"], ["flood", attacker.MARK * 100]]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_lies_is_not_shown(written: Lab, name: str) -> None:
    service, actions = _LIES[name]
    attacker.shadows(written, f"qborg.{service}", *actions)

    attacker.is_seen_through(
        written, *RESTORE, "--list", *([DOCS] if service == "ListFiles" else []), code=8)
