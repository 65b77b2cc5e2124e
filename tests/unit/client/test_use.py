"""Who uses a client: the processes of /proc, an idle session's left out, the unknown counted."""

import os
import re
from pathlib import Path

import pytest

from qborg_client import use
from qborg_wire.services import SERVICES

FIELD = SERVICES["DescribeUse"].reply[0]
OWN = 500
# number, name, parent, users, state; a terminal's number, 0 without one: what every idle qube has.
Row = tuple[int, str, int, str, str] | tuple[int, str, int, str, str, int]
ROOT, USER = "0 0 0 0", "1000 1000 1000 1000"
CONSOLE, TERMINAL = 229 << 8, 136 << 8  # hvc0, pts/0
IDLE: list[Row] = [
    (1, "systemd", 0, "0 0 0 0", "S"), (2, "kthreadd", 0, "0 0 0 0", "S"),
    (300, "cron", 1, "0 0 0 0", "S"), (310, "polkitd", 1, "998 998 998 998", "S"),
    (320, "systemd", 1, "1000 1000 1000 1000", "S"),
    (321, "(sd-pam)", 320, "1000 1000 1000 1000", "S"),
    (330, "qubes-gui-runus", 1, "0 0 0 0", "S"), (331, "xinit", 330, "1000 1000 1000 1000", "S"),
    (332, "Xorg", 331, "1000 1000 1000 1000", "S"),
    (333, "qubes-session", 331, "1000 1000 1000 1000", "S"),
    (334, "sleep", 333, "1000 1000 1000 1000", "S"),
    (335, "gvfs-udisks2-vo", 320, "1000 1000 1000 1000", "S"),
    (336, "start-pulseaudi", 333, "1000 1000 1000 1000", "S"),
    (350, "agetty", 1, ROOT, "S", CONSOLE), (360, "cups) S 1 2", 1, ROOT, "S"),
    (400, "qrexec-agent", 1, ROOT, "S"), (401, "qrexec-agent", 400, ROOT, "S"),
    (402, "logger", 401, ROOT, "S"), (420, "qrexec-fork-ser", 333, USER, "S"),
    (421, "qrexec-fork-ser", 420, USER, "S"), (422, "logger", 421, USER, "S"),
    (410, "qubes.WaitForSe", 400, ROOT, "S"), (411, "sleep", 410, ROOT, "S"),
    (OWN - 1, "sh", 400, "1000 1000 1000 1000", "S"),
    (OWN, "qborg.DescribeU", OWN - 1, "1000 1000 1000 1000", "R"),
]


def make(tmp_path: Path, *more: Row) -> Path:
    """Make a /proc of these processes."""
    (tmp_path / "self").mkdir()
    (tmp_path / "cpuinfo").write_text("", encoding="ascii")
    for number, name, parent, users, state, *terminal in (*IDLE, *more):
        told = "\t".join(str(users).split())
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_text(
            f"{number} ({name}) {state} {parent} 1 1 {[*terminal, 0][0]} -1 0\n", encoding="utf-8")
        (tmp_path / str(number) / "status").write_text(
            f"Name:\t{name}\nUmask:\t0022\nState:\t{state} (x)\nTgid:\t{number}\nPPid:\t{parent}\n"
            f"Uid:\t{told}\nGid:\t{told}\n", encoding="utf-8")
    return tmp_path


CASES: dict[str, tuple[Row, str]] = {
    "a-terminal": ((600, "xterm", 1, USER, "S"), "xterm"),
    "a-space": ((600, "Web Content", 1, USER, "S"), "Web_Content"),
    "not-ascii": ((600, "é", 1, USER, "S"), "__"),
    "called-none": ((600, "none", 1, USER, "S"), "_none"),
    "without-a-name": ((600, "", 1, USER, "S"), "_"),
    "another-sleep": ((600, "sleep", 1, USER, "S"), "sleep"),
    "sleeps-below-a-terminal": ((600, "sleep", 601, USER, "S"), "sleep"),
    "our-own-scheduled-run": ((600, "qborg-run", 300, USER, "S"), "qborg-run"),
    "another-user": ((600, "make", 1, "1001 1001 1001 1001", "S"), "make"),
    "of-a-container": ((600, "httpd", 1, "100033 100033 100033 100033", "S"), "httpd"),
    "sudo-of-a-user": ((600, "sudo", 1, "1000 0 0 0", "S"), "sudo"),
    "a-zombie": ((600, "xterm", 1, USER, "Z"), "none"),
    "a-daemon": ((600, "cups", 1, "110 110 110 110", "S"), "none"),
    "nobody": ((600, "dnsmasq", 1, "65534 65534 65534 65534", "S"), "none"),
    "a-terminal-of-root": ((600, "bash", 1, ROOT, "S", TERMINAL), "bash"),
    "a-login-at-the-console": ((600, "login", 1, ROOT, "S", CONSOLE), "login"),
    "a-terminal-of-a-daemons-user": ((600, "psql", 1, "110 110 110 110", "S", TERMINAL), "psql"),
    "a-call-as-root": ((600, "xterm", 401, ROOT, "S"), "xterm"),
    "below-a-call-as-root": ((600, "make", 411, ROOT, "S"), "make"),
    "a-call-as-a-daemons-user": ((600, "psql", 400, "110 110 110 110", "S"), "psql"),
    "another-logger": ((600, "logger", 1, USER, "S"), "logger"),
    "the-keeper-of-a-call": ((600, "qrexec-agent", 400, ROOT, "S"), "none"),
    "a-call-that-has-ended": ((600, "xterm", 401, ROOT, "Z"), "none"),
    "a-child-of-a-daemon": ((600, "cupsd", 360, ROOT, "S"), "none"),
    "a-unit-with-a-user-of-its-own": ((600, "fwupd", 1, "61234 61234 61234 61234", "S"), "none"),
}


@pytest.mark.parametrize(("row", "found"), CASES.values(), ids=CASES)
def test_who_counts(tmp_path: Path, row: Row, found: str) -> None:
    told = use.used_by(make(tmp_path, row), OWN)

    assert told == found
    assert len(told) <= FIELD.limit and FIELD.pattern.fullmatch(told)


def test_an_idle_session_is_nobody(tmp_path: Path) -> None:
    assert use.used_by(make(tmp_path), OWN) == "none"


def test_what_called_us_is_not_use_but_another_call_is(tmp_path: Path) -> None:
    assert use.used_by(make(tmp_path), 400) == "sh"


STATUS, STAT = "Name:\tx\nState:\tS\nPPid:\t1\nUid:\t0\n", "700 (x) S 1 1 1 0 -1 0\n"
UNREAD = {
    "empty": ("", STAT), "cut": ("Name:\tx\n", STAT),
    "no-number": (STATUS.replace("\t1", "\tone"), STAT), "no-stat": (STATUS, ""),
    "cut-stat": (STATUS, STAT[:14]), "a-terminal-of-no-number": (STATUS, STAT.replace("0", "x")),
}


@pytest.mark.parametrize(("status", "stat"), UNREAD.values(), ids=UNREAD)
def test_a_process_that_cannot_be_read_counts(tmp_path: Path, status: str, stat: str) -> None:
    proc = make(tmp_path)
    (proc / "700").mkdir()
    (proc / "700" / "status").write_text(STATUS, encoding="ascii")
    (proc / "700" / "stat").write_text(STAT, encoding="ascii")
    assert use.used_by(proc, OWN) == "none"
    (proc / "700" / "status").write_text(status, encoding="ascii")
    (proc / "700" / "stat").write_text(stat, encoding="ascii")

    assert use.used_by(proc, OWN) == "unknown"


def test_one_that_ends_meanwhile_does_not(tmp_path: Path) -> None:
    proc = make(tmp_path)
    (proc / "700").mkdir()

    assert use.used_by(proc, OWN) == "none"


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert use.used_by(tmp_path / "nowhere", OWN) == "unknown"


def test_a_loop_of_parents_ends(tmp_path: Path) -> None:
    proc = make(tmp_path, (600, "a", 601, USER, "S"), (601, "b", 600, USER, "S"))

    assert use.used_by(proc, 600) == "sh"


def test_a_name_of_ours_is_found_in_the_real_proc() -> None:
    parent = re.search(r"^PPid:\t([0-9]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)

    assert parent is not None
    assert FIELD.pattern.fullmatch(use.used_by(Path("/proc"), os.getpid()))
