"""The command line: exit codes, and one error and one hint for each mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import probe
from lab.selftest.places import own_cache

LABCTL = str(Path(__file__).resolve().parents[2] / "labctl")


def _labctl(*words: str, data: bytes = b"", cwd: str = "/") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, LABCTL, *words],
        input=data,
        capture_output=True,
        check=False,
        timeout=120,
        cwd=cwd,
    )


@pytest.fixture(scope="module", name="state")
def fixture_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bring up a lab with a state directory through labctl."""
    state = str(tmp_path_factory.mktemp("lab"))
    with pytest.MonkeyPatch.context() as patch:
        own_cache(tmp_path_factory.mktemp("cache"), patch)
        assert _labctl("run", "--world", "bare", "--state", state, "--", "true").returncode == 0
        yield state
        assert _labctl("down", "--remove", "--state", state).returncode == 0
    assert not os.path.exists(state)


def test_run_is_the_dom0_user_and_passes_everything_on(state: str) -> None:
    script = "id -un; hostname; cat; echo bad >&2; exit 3"

    done = _labctl("run", "--state", state, "--", "sh", "-c", script, data=b"in")

    assert (done.returncode, done.stdout, done.stderr) == (3, b"user\ndom0\nin", b"bad\n")


@pytest.mark.parametrize("folder", ["/", "/tmp", "/usr"])
def test_exec_works_from_any_directory_without_a_state(state: str, folder: str) -> None:
    done = _labctl("exec", "work", "-u", "root", "--", "id", "-un", cwd=folder)

    assert (done.returncode, done.stdout) == (0, b"root\n")


def test_a_lab_keeps_the_world_it_was_made_from(state: str) -> None:
    assert _labctl("run", "--state", state, "--", "true").returncode == 0
    assert _labctl("run", "--world", "bare", "--state", state, "--", "true").returncode == 0
    other = _labctl("run", "--world", "default", "--state", state, "--", "true")

    assert other.returncode == 2
    assert b"another world" in other.stderr


def test_status_is_json_in_a_pipe(state: str) -> None:
    status = json.loads(_labctl("status", "--state", state).stdout)

    assert status["state"] == state
    assert {"dom0", "work"} <= {qube["name"] for qube in status["qubes"]}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(("run",), 2, id="no command"),
        pytest.param(("run", "--world", "nowhere", "--", "true"), 2, id="no world"),
        pytest.param(("frob",), 2, id="unknown word"),
        pytest.param(("run", "--qubesadmin", "/proc", "--", "true"), 2, id="no qubesadmin there"),
        pytest.param(("run", "--state", "/proc/x", "--", "true"), 1, id="no place for a lab"),
        pytest.param(("exec", "work", "-u", "nobody-here", "--", "true"), 125, id="no such user"),
        pytest.param(("status", "--state", "/nonexistent"), 1, id="no lab"),
        pytest.param(("exec", "vault", "--", "true"), 1, id="halted"),
        pytest.param(("exec", "nothing", "--", "true"), 1, id="unknown qube"),
        pytest.param(("start", "nothing"), 1, id="unknown to start"),
    ],
)
def test_a_mistake_is_one_error_and_one_hint(state: str, words: tuple[str, ...], code: int) -> None:
    done = _labctl(*words)

    lines = done.stderr.decode().splitlines()
    assert done.returncode == code
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], lines


def test_nothing_is_missing_here() -> None:
    assert probe.missing() == []


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_SEARCH", "/nonexistent")

    found = probe.missing()

    assert "ip is not installed" in [problem.what for problem in found]
    assert all(problem.mend.startswith("as root: apt-get install ") for problem in found)
