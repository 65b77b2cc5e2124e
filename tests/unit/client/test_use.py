"""Who uses a client: the processes of /proc, an idle session's left out, the unknown counted."""

import os
import re
from pathlib import Path

import pytest

from qborg_client import use
from qborg_wire.services import SERVICES

FIELD = SERVICES["DescribeUse"].reply[0]
OWN = 500
# number, name, parent, users, state: what every idle qube has.
Row = tuple[int, str, int, str, str]
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
    (400, "qrexec-agent", 1, "0 0 0 0", "S"), (OWN - 1, "sh", 400, "1000 1000 1000 1000", "S"),
    (OWN, "qborg.DescribeU", OWN - 1, "1000 1000 1000 1000", "R"),
]


def make(tmp_path: Path, *more: Row) -> Path:
    """Make a /proc of these processes."""
    (tmp_path / "self").mkdir()
    (tmp_path / "cpuinfo").write_text("", encoding="ascii")
    for number, name, parent, users, state in (*IDLE, *more):
        told = "\t".join(users.split())
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "status").write_text(
            f"Name:\t{name}\nUmask:\t0022\nState:\t{state} (x)\nTgid:\t{number}\nPPid:\t{parent}\n"
            f"Uid:\t{told}\nGid:\t{told}\n", encoding="utf-8")
    return tmp_path


USER = "1000 1000 1000 1000"
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


@pytest.mark.parametrize("bent", ["", "Name:\tx\n", "Name:\tx\nState:\tS\nPPid:\tone\nUid:\t1\n"],
                         ids=["empty", "cut", "no-number"])
def test_a_process_that_cannot_be_read_counts(tmp_path: Path, bent: str) -> None:
    proc = make(tmp_path)
    (proc / "700").mkdir()
    (proc / "700" / "status").write_text(bent, encoding="ascii")

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
