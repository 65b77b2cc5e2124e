"""SIGKILL of any part leaves no process and no mount; a state directory keeps what was written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Lab, LabError
from lab.selftest.places import own_cache

LABCTL = str(Path(__file__).resolve().parents[2] / "labctl")
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def fixture_own_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep `the lab started last` this test's own."""
    own_cache(tmp_path_factory.mktemp("cache"), monkeypatch)


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _processes(state: Path) -> list[int]:
    """Return every process that belongs to the lab in STATE, the outermost first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f'"state": "{state}"'.encode() in words:
                found.append(int(entry.name))
    return sorted(found)


def _children(pid: int) -> list[int]:
    return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _parts(state: Path) -> dict[str, int]:
    """Return the pids of a lab's parts: outermost, supervisor, spawner, one agent."""
    processes = _processes(state)
    outer = next(pid for pid in processes if set(_children(pid)) & set(processes))
    supervisor = _children(outer)[0]
    spawner, *agents = _children(supervisor)
    return {"outer": outer, "supervisor": supervisor, "spawner": spawner, "agent": agents[-1]}


def _inner_mounts(pid: int) -> int:
    return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


@pytest.mark.parametrize("part", ["outer", "supervisor", "spawner"])
def test_killing_a_part_of_the_lab_ends_all_of_it(part: str) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    lab = Lab.up("bare")
    sleeper = lab.popen("work", ["sleep", "4242.5"])
    assert len(_processes(lab.state)) > 4

    os.kill(_parts(lab.state)[part], signal.SIGKILL)

    assert _until(lambda: not _processes(lab.state))
    assert _until(lambda: not _sleepers())
    assert Path("/proc/self/mountinfo").read_text() == mounts
    sleeper.close()
    lab.close()


def _sleepers() -> bool:
    command = ["pgrep", "-f", "^sleep 4242.5"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_killing_an_agent_is_a_crash_of_that_qube_only() -> None:
    with Lab.up("bare") as lab:
        process = lab.popen("work", ["sleep", "4242.5"])
        os.kill(_parts(lab.state)["agent"], signal.SIGKILL)

        assert process.wait(60) == 255
        assert _until(lambda: lab.qubes()["work"]["state"] == "Halted")
        lab.do("start", "work")
        assert lab.exec("work", ["true"], timeout=60).returncode == 0
        process.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killing_labctl_ends_its_lab(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, LABCTL, "run", "--world", "bare", "--", "sh", "-c"]
    script = "echo up; exec sleep 4242.5"
    with subprocess.Popen([*command, script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        lab = Lab.attach()
        lab.close()
        state = lab.state

        process.send_signal(number)

        assert process.wait(60) != 0
    assert _until(lambda: not _processes(state))
    assert _until(lambda: not _sleepers())
    assert _until(lambda: not state.exists())


def test_a_program_dies_with_its_connection() -> None:
    with Lab.up("bare") as lab:
        process = lab.popen("work", ["sh", "-c", "sleep 4242.5 & echo up; wait"])
        assert process.stdout.readline() == b"up\n"

        process.close()

        assert _until(lambda: not _sleepers())


def test_an_ended_lab_leaves_nothing() -> None:
    with Lab.up("bare") as lab:
        state = lab.state

    assert not _processes(state)
    assert not state.exists()


def test_a_state_directory_keeps_the_lab_over_a_kill(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 25) / "state"
    state.mkdir(parents=True)
    lab = Lab.up("bare", state)
    lab.exec("work", ["sh", "-c", "echo kept > kept; sync"], check=True)
    key = lab.server.host_key()
    lab.close()
    assert _processes(state), "it runs on without its client"
    os.kill(_parts(state)["supervisor"], signal.SIGKILL)
    assert _until(lambda: not _processes(state))

    again = Lab.up("bare", state)

    assert again.exec("work", ["cat", "kept"], timeout=60).stdout == b"kept\n"
    assert again.server.host_key() == key
    again.down()
    with pytest.raises(LabError):
        Lab.attach(state)
    assert not _processes(state)
    subprocess.run([sys.executable, LABCTL, "down", "--remove", "--state", state], check=True)
    assert not state.exists()
