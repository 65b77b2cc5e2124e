"""The commands as a person meets them: help, usage, errors, exit codes, signals, output."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from qborg_wire.reply import Progress
from qvm_borg import errors, lock, record
from qvm_borg.report import Report, size
from qvm_borg.tools.command_line import Parser
from static.roles import SETUP
from unit.dom0.honest import HOST_KEY, Honest
from unit.dom0.machine import failure

ROOT = Path(__file__).parents[3]
COMMANDS = [command.name.removeprefix("qvm-borg-") for command in SETUP.ROLES["dom0"].commands]
ARCHIVE = "work-2026-01-31T10:17:00"


def module(name: str) -> ModuleType:
    """Answer a command's module."""
    return importlib.import_module(f"qvm_borg.tools.{name}")


def run(machine: Honest, name: str, *args: str) -> int:
    """Run a command on a machine; answers its exit code."""
    return int(module(name).main(list(args), app=machine.app))


def enrolled(machine: Honest) -> None:
    """Make `work` an enrolled qube."""
    vm = machine.app.domains.all["work"]
    found = record.Record(vm.uuid, record.names.Repository("qubes", "work"), "prove")
    vm.features.own.update({"x-qborg": record.render(found), "service.qborg-client": "1"})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_teaches(name: str) -> None:
    text = Parser(name).format_help()

    for part in (f"usage: qvm-borg-{name}", "Runs in dom0", "examples:", "exit codes:", "-v", "-q"):
        assert part in text
    for action in Parser(name)._actions:
        assert action.help, action.dest


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_in_the_help_can_be_run(name: str) -> None:
    parser = Parser(name)
    lines = [line.split("   ")[1] if line.startswith("   ") else line.strip().partition("    ")[0]
             for line in str(parser.epilog).splitlines() if line.startswith("  qvm-borg-")]

    assert lines
    for line in lines:
        parser.parse_args(line.split()[1:])


@pytest.mark.parametrize("args", [
    ("setup", "--server", "host"), ("setup", "--server", "a@b:0"), ("setup", "--server", "@b"),
    ("setup", "--server", "a@-oProxyCommand=x"), ("setup", "--machine", "a-b"),
    ("setup", "--maintenance", "dom0"), ("setup", "--label", "red pool=x"),
    ("setup", "--fingerprint", "SHA256:x"), ("setup", "--wait", "soon"), ("setup", "extra"),
    ("setup", "--remote-borg", "/bin/borg"), ("enroll",), ("enroll", "--escrow", "work"),
    ("enroll", "work", "--dry-run", "--show-authorized-keys"),
    ("backup",), ("backup", "a", "--all"), ("backup", "--all", "--due"), ("backup", "a", "--due"),
    ("backup", "a", "--jobs", "0"), ("backup", "a", "--memory", "1G"), ("restore", "work", "/a"),
    ("recover",), ("recover", "--yes"), ("check", "--every"),
    ("restore", "work", "--to-directory", "/a", "--list"),
    ("restore", "work", "/a", "--to", "dom0"),
    ("restore", "work", "--in-place"), ("restore", "work", "/a", "--in-place", "--to", "personal"),
    ("restore", "work", "/a", "--in-place", "--to-directory", "/a"), ("restore", "work", "--json"),
    ("restore", "work", "--list", "--yes"), ("restore", "work", "--list", "--at", "yesterday"),
    ("restore", "work", "--list", "--at", "2026-01-31", "--archive", "work-1"),
    ("restore", "work", "--to", "personal", "--label", "red"),
    ("restore", "work", "/a", "--to-directory", "/b", "--archive", "-x"),
    ("revoke",), ("revoke", "work", "personal"), ("revoke", "../work"), ("revoke", "dom0"),
    ("revoke", "work", "--quarantine=7"), ("setup", "--fingerprint", "unknown"),
    ("enroll", "work", "--keys", "client", "--no-escrow"),
    ("enroll", "work", "--keys", "client", "--import", "/home/user/old"),
    ("enroll", "work", "--keys", "client", "--show-authorized-keys"),
    ("check", "-v", "-q", "work"),
    ("check",), ("check", "work", "--all"), ("check", "--all", "--json", "--keys"),
    ("recover", "--print-kit"), ("recover", "--print-kit", "work", "--all"),
    ("recover", "--account", "work"), ("recover", "--account", "--all"),
    ("recover", "--accept-record", ""),
    ("revoke", "work", "--yes"), ("revoke", "work", "--delete-repository", "--quarantine"),
], ids=" ".join)
def test_a_wrong_command_line_is_2_with_a_hint(
    args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        Parser(args[0]).parse_args(args[1:])

    lines = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert lines[-2].startswith("error: ") and lines[-1].startswith("hint: `qvm-borg-")


@pytest.mark.parametrize("name", COMMANDS)
def test_importing_a_command_connects_to_nothing(name: str) -> None:
    program = ("import sys; sys.path.insert(0, 'dom0')\n"
               "sys.addaudithook(lambda event, _args: event.startswith(('socket.', 'subprocess.',"
               " 'os.exec', 'os.posix_spawn')) and sys.exit(event))\n"
               f"import qvm_borg.tools.{name}")

    subprocess.run([sys.executable, "-I", "-c", program], cwd=ROOT, check=True, timeout=60)


def test_a_command_prints_one_error_and_one_hint(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(ready, "enroll", "nobody", "--no-escrow")

    assert code == errors.QubeUnavailable.exit_code
    assert capsys.readouterr().err == (
        "error: there is no qube named nobody\n"
        "hint: `qvm-ls` lists them; upper and lower case are different\n")


def test_without_no_escrow_nothing_is_enrolled(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ready, "enroll", "work") == errors.EscrowMissing.exit_code

    assert "--no-escrow" in capsys.readouterr().err
    assert ready.app.trace == []


def test_elsewhere_than_in_dom0_a_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert module("backup").main(["work"]) == errors.AdminError.exit_code
    assert "hint: run this command in dom0" in capsys.readouterr().err


def test_a_second_command_waits_its_turn(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock.held():
        assert run(ready, "backup", "work") == errors.LockedError.exit_code
        assert run(ready, "enroll", "work", "--no-escrow", "--dry-run") == 0

    assert ready.app.trace == []
    assert "another qvm-borg command is running" in capsys.readouterr().err


def test_a_home_that_cannot_be_written_is_no_traceback(
    ready: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "home-is-a-file"
    home.write_text("", encoding="ascii")
    monkeypatch.setenv("HOME", str(home))

    assert run(ready, "backup", "work") == 1
    assert capsys.readouterr().err.startswith("error: [Errno 20] Not a directory")


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129),
])
def test_a_signal_ends_a_command_and_puts_the_qube_back(
    ready: Honest, number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled(ready)
    ready.app.domains.all["work"].state = "Halted"
    honest = ready.app.handler
    before = signal.getsignal(signal.SIGTERM)

    def interrupted(vm: object, service: str, argument: str) -> object:
        if service == "RunBackup":
            os.kill(os.getpid(), number)
        return honest(vm, service, argument)  # type: ignore[arg-type]

    ready.app.handler = interrupted  # type: ignore[assignment]

    assert run(ready, "backup", "work") == code
    assert ready.app.domains.all["work"].state == "Halted"
    assert signal.getsignal(signal.SIGTERM) == before
    assert "error: stopped" in capsys.readouterr().err


def test_a_backup_starts_a_halted_qube_and_halts_it_again(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled(ready)
    ready.app.domains.all["work"].state = "Halted"

    assert run(ready, "backup", "work") == 0

    assert ready.app.trace == [
        "set work x-qborg-started", "start work", "set work x-qborg-started",
        "call work qborg.RunBackup+qubes-work", "set work x-qborg", "call work qborg.DescribeUse+",
        "shutdown work", "unset work x-qborg-started"]
    assert capsys.readouterr().out == (
        f"work: archive {ARCHIVE}: 12 files, 33.8 KiB, 2.3 KiB sent\n")


def test_a_restore_says_what_came_back(ready: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    enrolled(ready)

    assert run(ready, "restore", "work", "/home/user/a", "--to-directory", "/home/user/b") == 0
    assert f"2 files, 3 B of {ARCHIVE} are in /home/user/b" in capsys.readouterr().out


@pytest.mark.parametrize("directory", ["relative", "", "/a\nb", "/" + "x" * 5000])
def test_a_directory_that_no_service_takes_is_refused_here(ready: Honest, directory: str) -> None:
    enrolled(ready)

    with pytest.raises(SystemExit, match="2"):
        run(ready, "restore", "work", "/a", "--to-directory", directory)
    assert not [line for line in ready.app.trace if line.startswith("call")]


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_a_qube_that_is_not_enrolled_is_told(
    ready: Honest, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["/a", "--to-directory", "/b"] if name == "restore" else []

    assert run(ready, name, "work", *args) == errors.NotEnrolled.exit_code
    assert "hint: run `qvm-borg-enroll work`" in capsys.readouterr().err
    assert ready.app.trace == []


def test_a_copy_is_not_backed_up_in_the_originals_name(ready: Honest) -> None:
    enrolled(ready)
    copy = ready.qube("work2")
    copy.features.own.update(ready.app.domains.all["work"].features.own)

    assert run(ready, "backup", "work2") == errors.NotEnrolled.exit_code
    assert ready.app.trace == []


def test_a_refused_backup_keeps_its_detail_and_its_code(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled(ready)
    ready.answers["RunBackup"] = failure("quota-exceeded", "limit 10 GB")

    assert run(ready, "backup", "work") == errors.ServerFull.exit_code
    assert "error: work: the quota is used up (limit 10 GB)\n" in capsys.readouterr().err


def test_setup_runs_as_a_command(machine: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(machine, "setup", "--server", "zh1@backup.example", "--fingerprint", HOST_KEY) == 0
    assert run(machine, "setup", "-v") == 0
    assert "borg-maintenance: qborg.CheckSetup+" in capsys.readouterr().out


def test_what_is_printed_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(verbose=True)

    report.say("\x1b[2Ja\rb\nc\u202e")
    report.detail("\x9b1m")
    report.error(errors.QvmBorgError("\x1b]0;x\x07", "\b"))

    printed = capsys.readouterr()
    assert printed.out == "_[2Ja_b_c_\n      _1m\n"
    assert printed.err == "error: _]0;x_\nhint: _\n"


def test_progress_without_a_terminal_is_plain_and_rare(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report()

    for count in range(100):
        report.progress(Progress("create", count, 1024 * count), "work")

    assert capsys.readouterr().out == ""
    monkeypatch.setattr("qvm_borg.report._QUIET", 0.0)
    report.progress(Progress("create", 7, 2048), "work")
    assert capsys.readouterr().out == "      work: create: 7 files, 2.0 KiB\n"


@pytest.mark.parametrize(("count", "text"), [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**3, "5.0 GiB"),
    (1024**5, "1024.0 TiB"),
])
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size(count) == text
