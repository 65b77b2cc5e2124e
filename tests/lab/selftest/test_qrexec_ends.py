"""How calls end: when all is closed, when somebody dies, when a fault comes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from lab.fault_rules import Rule
from lab.selftest.calls import Calls

OPEN = "* * * * allow\n"


def test_call_does_not_wait_for_open_input(calls: Calls) -> None:
    """The end of the service is the end of the call."""
    calls.service("work", "t.Say", "#!/bin/sh\necho done\n")
    with subprocess.Popen(
        calls.client_argv("-d", "work", "DEFAULT:QUBESRPC t.Say+ dom0"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"done\n"
        assert process.wait(timeout=20) == 0


def test_background_child_keeps_the_call_open(calls: Calls) -> None:
    """A call ends when nobody holds the service's output any more."""
    calls.service("work", "t.Say", "#!/bin/sh\n(sleep 0.7; echo late) &\nexit 5\n")

    done = calls.dom0("work", "t.Say+")

    assert (done.returncode, done.stdout) == (5, b"late\n")


def test_dead_caller_is_end_of_input_for_the_service(calls: Calls, tmp_path: Path) -> None:
    """The service goes on until it notices."""
    flag = tmp_path / "flag"
    calls.service("work", "t.Say", f"#!/bin/sh\ncat >/dev/null\necho noticed >{flag}\n")
    with subprocess.Popen(
        calls.client_argv("-d", "work", "DEFAULT:QUBESRPC t.Say+ dom0"), stdin=subprocess.PIPE
    ) as process:
        calls.wait_for(lambda: len(calls.machines.processes) == 1)
        process.kill()

    calls.wait_for(lambda: flag.exists() and flag.read_text() == "noticed\n")


def test_killed_qube_breaks_the_call(calls: Calls) -> None:
    """255 and a line on stderr, from both sides."""
    calls.service("work", "t.Wait", "#!/bin/sh\nexec sleep 60\n")
    calls.policy(OPEN)
    for argv in (
        calls.client_argv("-d", "work", "DEFAULT:QUBESRPC t.Wait+ dom0"),
        calls.client_vm_argv("vault", "work", "t.Wait"),
    ):
        calls.system.qubesd.start("work")
        calls.machines.processes.clear()
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            calls.wait_for(lambda: len(calls.machines.processes) == 1)
            calls.system.qubesd.kill("work")
            assert process.stderr is not None
            assert b"broke the connection off" in process.stderr.read()
            assert process.wait(timeout=20) == 255


def test_paused_target_is_waited_for(calls: Calls) -> None:
    """A qube waits without limit, dom0 for the time it names."""
    calls.service("work", "t.Say", "#!/bin/sh\necho up\n")
    calls.policy(OPEN)
    calls.system.call("admin.vm.Pause", "work")

    started = time.monotonic()
    done = calls.run_client("-w", "1", "-d", "work", "DEFAULT:QUBESRPC t.Say+ dom0")
    assert done.returncode == 125
    assert time.monotonic() - started >= 1
    with subprocess.Popen(
        calls.client_vm_argv("vault", "work", "t.Say"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        time.sleep(0.3)
        assert process.poll() is None
        calls.system.call("admin.vm.Unpause", "work")
        assert process.stdout is not None
        assert process.stdout.read() == b"up\n"


@pytest.mark.parametrize(
    ("action", "code"),
    [("refuse", 126), ("error", 255), ("error:7", 7), ("kill-caller", -9), ("delay:0.1", 0)],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_fault_on_a_call(
    calls: Calls, tmp_path: Path, action: str, code: int, when: str
) -> None:
    """It comes before anything is done, or when all is done and only the answer is missing."""
    flag = tmp_path / "flag"
    calls.service("work", "t.Say", f"#!/bin/sh\necho >{flag}\n")
    calls.policy(OPEN)
    calls.system.faults.add(Rule("qrexec", "t.Say+*", 1, when, action))

    assert calls.qube("vault", "work", "t.Say").returncode in (code, {126: 255}.get(code))
    assert flag.exists() is (when == "after" or code == 0)
    assert calls.qube("vault", "work", "t.Say").returncode == 0


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("count", [0, 1000, 100000])
def test_cut_stream(calls: Calls, tmp_path: Path, direction: str, count: int) -> None:
    """Exactly so many bytes arrive, then both sides see the end."""
    flag = tmp_path / "flag"
    program = f"cat >{flag}" if direction == "in" else "cat"
    calls.service("work", "t.Say", f"#!/bin/sh\n{program}; echo over >>{flag}.over\n")
    calls.policy(OPEN)
    rule = Rule("qrexec", "t.Say+", action=f"cut-after:{count}:{direction}")
    calls.system.faults.add(rule)

    done = calls.qube("vault", "work", "t.Say", data=b"x" * 500000)

    assert done.returncode == 255
    calls.wait_for(Path(f"{flag}.over").exists)
    arrived = flag.read_bytes() if direction == "in" else done.stdout
    assert len(arrived) == count
    assert calls.qube("vault", "work", "t.Say", data=b"y").returncode == 0


def test_killed_service_answers_nothing(calls: Calls, tmp_path: Path) -> None:
    """As it begins, or with its work done and the reply lost; either way it is status 137."""
    work, flag = "#!/bin/sh\nsleep 0.5\ntouch {flag}\necho reply\n", tmp_path / "done"
    calls.service("work", "t.Work", work.format(flag=flag))

    for when, worked in (("before", False), ("after", True)):
        calls.qrexec.faults.clear()
        calls.qrexec.faults.add(Rule("qrexec", "t.Work+", when=when, action="kill-service"))
        done = calls.dom0("work", "t.Work+")

        assert (done.returncode, done.stdout) == (137, b"")
        assert flag.exists() is worked
        assert [entry.hit for entry in calls.qrexec.faults.trace()] == [True]


def test_service_is_killed_amid_its_work_and_the_trace_tells_times(calls: Calls) -> None:
    """A timer does it, if the call is not over by then."""
    faults = calls.qrexec.faults
    calls.service("work", "t.Wait", "#!/bin/sh\necho begun\nexec sleep 60\n")
    faults.add(Rule("qrexec", "t.Wait+", when="amid", action="kill-service", seconds=0.5))

    done = calls.dom0("work", "t.Wait+")

    assert (done.returncode, done.stdout) == (137, b"begun\n")
    [entry] = faults.trace()
    assert entry.hit and entry.running and 0.5 <= entry.seconds < 60


def test_kill_tool_reaches_dom0_behind_a_call_of_a_qube(calls: Calls) -> None:
    """The qube's call goes on: nobody tells it that dom0's is gone."""
    inner = " ".join(calls.client_vm_argv("work", "vault", "t.In"))
    calls.service("work", "t.Out", f"#!/bin/sh\n{inner}\n")
    calls.service("vault", "t.In", "#!/bin/sh\necho in\n")
    calls.policy(OPEN)
    calls.qrexec.faults.add(Rule("qrexec", "t.In+", action="kill-tool"))
    argv = calls.client_argv("-d", "work", "DEFAULT:QUBESRPC t.Out+ dom0")
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        assert process.wait(timeout=20) == -9

    calls.wait_for(lambda: all(entry.seconds > 0 for entry in calls.qrexec.faults.trace()))
    assert [(entry.name, entry.within) for entry in calls.qrexec.faults.trace()] == [
        ("t.Out+", ""), ("t.In+", "t.Out+")]  # fmt: skip
