"""What a command says where a person wants it quiet, and what it leaves in dom0's journal."""

import os
import signal
import sys
import syslog

import pytest

from qvm_borg import errors
from unit.dom0.honest import Honest
from unit.dom0.machine import failure
from unit.dom0.test_commands import ARCHIVE, enrolled, run

# What prints nothing where a person wants it quiet, and what was asked for and is printed.
QUIET: dict[str, tuple[tuple[str, ...], str]] = {
    "backup": (("backup", "work"), ""),
    "restore": (("restore", "work", "/a", "--to-directory", "/b"), ""),
    "restore-list": (("restore", "work", "--list"), f"  {ARCHIVE}\n"),
    "restore-json": (("restore", "work", "--list", "--json"), '"more"'),
    "backup-json": (("backup", "work", "--json"), '"outcome": "done"'),
    "setup": (("setup",), ""),
    "plan": (("enroll", "work", "--dry-run", "--no-escrow"), "work"),
    "lines": (("enroll", "work", "--show-authorized-keys", "--no-escrow"), "command="),
    "status": (("status",), "work"),
}


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
@pytest.mark.parametrize(("args", "says"), QUIET.values(), ids=QUIET)
def test_quiet_prints_what_was_asked_for_alone(
    ready: Honest, args: tuple[str, ...], says: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled(ready)
    ready.values["DescribeUse"] = {"used_by": "xterm"}

    run(ready, *args, flag)

    told = capsys.readouterr().out
    assert says in told if says else told == ""


def test_quiet_is_about_what_is_said_and_not_about_errors(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled(ready)
    ready.answers["RunBackup"] = failure("quota-exceeded")

    assert run(ready, "backup", "work", "-q") == errors.ServerFull.exit_code
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error: work: the quota is used up\nhint: ")


# A run, and its line in the journal; none of one that only looks.
JOURNAL: dict[str, tuple[tuple[str, ...], list[tuple[str, int, str]]]] = {
    "done": (("restore", "work", "--list"),
             [("qvm-borg-restore", syslog.LOG_INFO, "exit code 0")]),
    "failed": (("backup", "work"), [("qvm-borg-backup", syslog.LOG_WARNING, "exit code 25")]),
    "dry-run": (("enroll", "work", "--dry-run", "--no-escrow"), []),
    "status": (("status",), []),
    "resync": (("status", "--resync", "nobody"),
               [("qvm-borg-status", syslog.LOG_WARNING, "exit code 5")]),
}


@pytest.mark.parametrize(("args", "told"), JOURNAL.values(), ids=JOURNAL)
def test_a_run_that_does_something_has_one_line_in_the_journal(
    ready: Honest, args: tuple[str, ...], told: list[tuple[str, int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[tuple[str, int, str]] = []
    names: list[str] = []
    monkeypatch.setattr(syslog, "openlog", names.append)
    monkeypatch.setattr(
        syslog, "syslog", lambda level, line: lines.append((names[-1], level, line)))
    enrolled(ready)
    ready.answers["RunBackup"] = failure("internal", "a secret of the qube")

    run(ready, *args)

    assert lines == told


@pytest.mark.parametrize("args", [("status",), ("status", "--json")], ids=["lines", "json"])
def test_who_reads_no_further_gets_no_error(
    ready: Honest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
) -> None:
    enrolled(ready)
    for command, told in ((args, ""), (("backup", "work"), "error: stopped, as nobody reads on")):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as closed:  # its end writes what it still holds
            monkeypatch.setattr(sys, "stdout", closed)
            assert run(ready, *command) == 128 + signal.SIGPIPE
        assert capsys.readouterr().err.partition("\n")[0] == told
