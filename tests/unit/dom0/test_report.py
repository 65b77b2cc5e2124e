"""What a person sees while several works go on: a block on a terminal, plain lines elsewhere."""

import re
import sys
from collections.abc import Callable

import pytest

from qborg_wire.reply import Progress
from qvm_borg import errors, report
from qvm_borg.report import Report

MIB = 1024**2


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Report]:
    """Answer what makes a report that thinks it is on a terminal of 60 columns."""
    monkeypatch.setenv("COLUMNS", "60")

    def made() -> Report:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        return Report()

    return made


def screen(written: str) -> list[str]:
    """Answer the lines that a terminal shows in the end, of all that was written to it."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9]*[FKJ]|\n)", written):
        if up := re.fullmatch(r"\x1b\[([0-9]+)F", part):
            row -= int(up[1])
            assert row >= 0
            lines[row] = ""  # is written over, and the rest of it cleared
        elif part == "\x1b[J":
            del lines[row + 1:]
            lines[row] = ""
        elif part == "\n":
            row += 1
            lines[row:row + 1] = lines[row:row + 1] or [""]
        elif part not in ("", "\x1b[K"):
            assert "\x1b" not in part and "\r" not in part
            lines[row] = part
    assert lines[-1] == ""
    return lines[:-1]


def test_each_work_has_a_line_that_is_written_over(
    terminal: Callable[[], Report], capsys: pytest.CaptureFixture[str]
) -> None:
    told = terminal()
    for count in (1, 2, 3):
        told.progress(Progress("backup", count, count * MIB), "work")
        told.progress(Progress("backup", 9, 9 * MIB), "mail")
    told.say("home: done")

    assert screen(capsys.readouterr().out) == [
        "home: done",
        "      work: backup: 3 files, 3.0 MiB", "      mail: backup: 9 files, 9.0 MiB"]


def test_a_work_that_is_over_leaves_no_line(
    terminal: Callable[[], Report], capsys: pytest.CaptureFixture[str]
) -> None:
    told = terminal()
    told.progress(Progress("backup", 1, 1), "work")
    told.progress(Progress("backup", 1, 1), "mail")
    told.over("work")
    told.say("work: done")
    told.over("mail")
    told.say("mail: done")

    assert screen(capsys.readouterr().out) == ["work: done", "mail: done"]


def test_an_error_stands_alone_and_the_block_comes_back(
    terminal: Callable[[], Report], capsys: pytest.CaptureFixture[str]
) -> None:
    told = terminal()
    told.progress(Progress("backup", 1, 1), "work")
    told.error(errors.QvmBorgError("no", "try"))

    printed = capsys.readouterr()
    assert (screen(printed.out), printed.err) == ([], "error: no\nhint: try\n")
    told.say("mail: done")
    assert screen(capsys.readouterr().out) == ["mail: done", "      work: backup: 1 files, 1 B"]


def test_a_line_is_never_wider_than_the_terminal_nor_moves_the_cursor(
    terminal: Callable[[], Report], capsys: pytest.CaptureFixture[str]
) -> None:
    told = terminal()
    told.progress(Progress("backup", 10**14, 10**14), "q" * 31)
    told.progress(Progress("backup", 1, 1), "\x1b[2J\n")

    assert [len(line) <= 59 for line in screen(capsys.readouterr().out)] == [True, True]


@pytest.mark.parametrize(("whole", "left"), [
    (0, ""), (MIB, ""), (40 * MIB, ", 0:00:30 left"),
    (10**15 - 1, ""),
], ids=["not-known", "it-has-grown", "known", "a-lie"])
def test_rate_and_time_left_are_told_where_they_are_known(
    terminal: Callable[[], Report], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, whole: int, left: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    told, clock = terminal(), [100.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    told.progress(Progress("backup", 0, 0), "work", whole)
    clock[0] += 10
    told.progress(Progress("backup", 5, 10 * MIB), "work", whole)

    assert screen(capsys.readouterr().out) == [
        f"      work: backup: 5 files, 10.0 MiB, 1.0 MiB/s{left}"]


def test_elsewhere_each_work_has_its_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Report()
    told.progress(Progress("backup", 1, 1), "work")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("qvm_borg.report._QUIET", 0.0)
    for name in ("work", "mail", "work"):
        told.progress(Progress("backup", 2, 2), name)
    told.over("work")
    told.say("done")

    assert capsys.readouterr().out == (
        "      work: backup: 2 files, 2 B\n      mail: backup: 2 files, 2 B\n"
        "      work: backup: 2 files, 2 B\ndone\n")
