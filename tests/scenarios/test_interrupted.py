"""Whatever ends a command half-way: a key, a signal, a qube or a connection that goes away.

The command says so, closes the gate and leaves a state from which the next run goes on.
"""

import re
import select
import signal
import time
from collections.abc import Callable

import pytest

from lab import Lab
from lab.running import RunningProcess
from scenarios import attacker, person, state

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
BACKUP = ("qvm-borg-backup", "work")
RESTORE = ("qvm-borg-restore", "work", "/home/user", "--to-directory", "/home/user/back")
SLOW = b"interval_hours = 24\nupload_limit_kib = 300\n"
# The steps of an enrolment that take long enough to be interrupted, in their order.
STEPS = ("CheckSetup", "PublishKeys", "InitRepository", "InstallBundle", "RunBackup",
         "ProveBundle")  # fmt: skip
PROBING = "/home/user/.local/share/qubes-borg/probe-lock"
SIGNALS = {"ctrl-c": (signal.SIGINT,), "others": (signal.SIGTERM, signal.SIGHUP)}


def _until(so: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def _begun(lab: Lab, service: str) -> bool:
    return any(call["name"].startswith(f"qborg.{service}+") for call in lab.trace())


def _at(lab: Lab, service: str, *command: str) -> RunningProcess:
    """Start a command and come back when its call of a service has begun."""
    lab.faults.clear()
    tool = lab.popen("dom0", command, input=False)
    _until(lambda: _begun(lab, service) or _has_ended(tool))
    assert _begun(lab, service), (service, tool.communicate(None, 120))
    return tool


def _has_ended(tool: RunningProcess) -> bool:
    return bool(select.select([tool.fileno()], [], [], 0)[0])


def _ends(tool: RunningProcess, code: int) -> str:
    """Wait for a command that must end in CODE with one error and one hint."""
    out, err = tool.communicate(None, 120)
    said = (out + err).decode()
    tool.close()
    assert tool.returncode == code, said
    assert len(re.findall(r"^error: ", said, re.MULTILINE)) == 1, said
    assert len(re.findall(r"^hint: ", said, re.MULTILINE)) == 1, said
    assert "Traceback" not in said, said
    return said


def _is_enrolled(lab: Lab) -> None:
    """Let one more run reach the end, and see that it did."""
    person.runs(lab, *ENROL)
    assert "nothing was changed" in person.runs(lab, *ENROL)
    assert state.gates(lab) == []
    listed = lab.exec("work", ["borgbak", "list", "--short"], check=True).stdout.decode()
    assert listed.startswith("work-")


@pytest.mark.parametrize("numbers", SIGNALS.values(), ids=SIGNALS)
def test_a_signal_in_each_step_in_turn_and_the_next_run_goes_on(
    ready: Lab, numbers: tuple[signal.Signals, ...]
) -> None:
    for count, service in enumerate(STEPS):
        number = numbers[count % len(numbers)]
        tool = _at(ready, service, *ENROL)
        tool.send_signal(number)

        said = _ends(tool, 128 + number)

        assert "error: stopped" in said and state.gates(ready) == []
        assert attacker.calling(ready) == b""
    _is_enrolled(ready)


def test_a_look_at_the_account_waits_for_one_that_a_stopped_command_left(ready: Lab) -> None:
    """Both try what may be written by the same names; each would take the other's for a refusal."""
    held = ready.popen("borg-maintenance", ["flock", PROBING, "sleep", "900"], input=False)
    _until(lambda: ready.exec("borg-maintenance", ["flock", "-n", PROBING, "true"]).returncode == 1)
    tool = ready.popen("dom0", ["qvm-borg-setup"], input=False)
    waits = ["grep", "-q", "-e", "-> FLOCK", "/proc/locks"]
    _until(lambda: ready.exec("borg-maintenance", waits).returncode == 0)

    held.kill()

    out, err = tool.communicate(None, 600)
    assert tool.returncode == 0 and b"was set up already" in out, out + err
    tool.close()
    held.close()


def test_a_qube_that_was_started_for_it_is_halted_again(ready: Lab) -> None:
    tool = _at(ready, "DescribeClient", "qvm-borg-enroll", "personal", "--no-escrow")
    tool.send_signal(signal.SIGINT)

    _ends(tool, 130)

    assert ready.qubes()["personal"]["state"] == "Halted"


def _gets_much(lab: Lab, megabytes: int = 3) -> None:
    """Give work data that no compression shortens, and a slow line."""
    lab.exec("work", ["dd", "if=/dev/urandom", "of=/home/user/much", "bs=1M",
                      f"count={megabytes}", "status=none"], check=True)  # fmt: skip
    attacker.writes(lab, "/home/user/.config/qubes-borg/settings", SLOW, "work")


def _gets_fast(lab: Lab) -> None:
    attacker.writes(lab, "/home/user/.config/qubes-borg/settings", b"", "work")


def _borg_works(lab: Lab) -> bool:
    look = "grep -alE '^[^ ]*python3.*/usr/bin/borg' /proc/[0-9]*/cmdline 2>/dev/null"
    return bool(lab.exec("work", ["sh", "-c", look], user="root").stdout)


def _uploads(lab: Lab) -> bool:
    return b"borg14" in lab.server.exec(
        ["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"]).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_backup_stops_in_the_qube_too(
    enrolled: Lab, number: signal.Signals
) -> None:
    _gets_much(enrolled)
    tool = _at(enrolled, "RunBackup", *BACKUP)
    _until(lambda: _uploads(enrolled))
    assert _borg_works(enrolled)
    tool.send_signal(number)

    _ends(tool, 128 + number)

    _until(lambda: not _borg_works(enrolled), 20)
    _gets_fast(enrolled)
    person.runs(enrolled, *BACKUP)
    assert state.gates(enrolled) == []


def test_an_interrupted_restore_can_be_repeated_as_it_was_typed(enrolled: Lab) -> None:
    tool = _at(enrolled, "RestoreFiles", *RESTORE)
    tool.send_signal(signal.SIGINT)

    _ends(tool, 130)

    person.runs(enrolled, *RESTORE)


GOES = {
    "killed-at-the-delivery": ("kill", "InstallBundle", 6),
    "killed-in-the-backup": ("kill", "RunBackup", 5),
    "shut-down-in-the-backup": ("shutdown", "RunBackup", 5),
}


@pytest.mark.parametrize(("how", "service", "code"), GOES.values(), ids=GOES)
def test_a_qube_that_goes_away_half_way_is_enrolled_by_the_next_run(
    ready: Lab, how: str, service: str, code: int
) -> None:
    if how == "kill":
        ready.faults.add(where="qrexec", match=f"qborg.{service}+*", action="kill-qube:work")
        tool = ready.popen("dom0", ENROL, input=False)
    else:
        tool = _at(ready, service, *ENROL)
        ready.do(how, "work")

    _ends(tool, code)

    ready.faults.clear()
    assert state.gates(ready) == []
    _until(lambda: ready.qubes()["work"]["state"] == "Halted")
    ready.do("start", "work")
    assert "work: enrolled" in person.runs(ready, *ENROL)


def test_a_connection_that_breaks_during_a_backup_is_named(enrolled: Lab) -> None:
    _gets_much(enrolled)
    tool = _at(enrolled, "RunBackup", *BACKUP)
    _until(lambda: _uploads(enrolled))
    enrolled.server.drop_sessions()

    _ends(tool, 17)

    _gets_fast(enrolled)
    person.runs(enrolled, *BACKUP)


def test_the_gate_of_a_killed_command_is_closed_and_told_by_the_next(enrolled: Lab) -> None:
    foreign = f"{attacker.GATES}/50-mine.policy"
    attacker.writes(enrolled, foreign, b"# mine\n")
    line = attacker.line_of(enrolled, attacker.CALL, attacker.EVIL, "work")
    attacker.writes(enrolled, attacker.GATE, line)
    attacker.writes(enrolled, f"{attacker.GATES}/.69-qborg-gate.policy.new", line[:20])

    said = [person.runs(enrolled, *BACKUP) for _time in range(2)]

    assert "a gate that a killed command had left open was closed" in said[0]
    assert "gate" not in said[1]
    assert state.gates(enrolled) == [foreign]
    assert enrolled.run(["cat", foreign], check=True).stdout == b"# mine\n"


def test_a_killed_command_leaves_an_open_gate_that_the_next_one_closes(ready: Lab) -> None:
    # Before, not after: a reply that has come already lets it close the gate in time.
    ready.faults.add(where="qrexec", match="qborg.SendBundle+*", action="kill-caller")
    ready.run(list(ENROL))
    assert state.gates(ready) == [attacker.GATE]
    ready.faults.clear()

    said = person.runs(ready, *ENROL)

    assert "was closed" in said and state.gates(ready) == []
