"""The frame's clock: requests, handlers and callers that do not come to an end; progress."""

import os
import time
from pathlib import Path

import pytest

from qborg_wire.reply import parse_progress
from unit.service.one_call import encoded, failure, run, script, started, success


def test_a_flood_without_end_is_cut_off(tmp_path: Path) -> None:
    with started(script(tmp_path, "return GOOD")) as call:
        with pytest.raises(BrokenPipeError):
            while True:
                os.write(call.stdin.fileno(), b"x" * 65536)
        assert b"outcome=bad-request" in call.stdout.read()


def test_a_caller_that_never_ends_its_request_runs_out_of_time(tmp_path: Path) -> None:
    with started(script(tmp_path, "return GOOD", seconds=1)) as call:
        call.stdin.write(encoded())
        call.stdin.flush()

        assert b"outcome=time-out\n" in call.stdout.read()


def test_a_handler_that_catches_exceptions_is_ended_in_time(tmp_path: Path) -> None:
    body = """
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass
    """
    done = run(script(tmp_path, body, seconds=1), encoded())

    assert failure(done.stdout).cause == "time-out"


def test_a_child_left_behind_does_not_hold_the_call_open(tmp_path: Path) -> None:
    body = 'subprocess.Popen(["/bin/sleep", "30"], stderr=subprocess.DEVNULL,' \
        " stdout=subprocess.DEVNULL, start_new_session=True); return GOOD"
    began = time.monotonic()

    run(script(tmp_path, body), encoded())

    assert time.monotonic() - began < 25


def test_progress_comes_before_the_reply_and_not_too_often(tmp_path: Path) -> None:
    body = """
    for number in range(2000):
        call.progress(Progress("files", number, number * 10))
    return GOOD
    """
    done = run(script(tmp_path, body, idle=True), encoded())

    lines = done.stdout.splitlines(keepends=True)
    told = [line for line in lines if line.startswith(b"progress=")]
    assert 1 <= len(told) < 100
    assert all(parse_progress(line) for line in told)
    assert success(b"".join(lines[len(told):]))["qube"] == "work"


def test_progress_puts_off_the_end_of_an_idle_row(tmp_path: Path) -> None:
    body = """
    for number in range(8):
        time.sleep(0.3)
        call.progress(Progress("files", number, 0))
    return GOOD
    """
    assert run(script(tmp_path, body, idle=True, seconds=1), encoded()).returncode == 0


def test_an_idle_row_without_progress_is_ended(tmp_path: Path) -> None:
    done = run(script(tmp_path, "time.sleep(60)", idle=True, seconds=1), encoded())

    assert failure(done.stdout).cause == "time-out"


def test_work_ends_when_the_caller_is_gone(tmp_path: Path) -> None:
    body = """
    while True:
        time.sleep(0.05)
        call.progress(Progress("files", 1, 0))
    """
    with started(script(tmp_path, body, idle=True)) as call:
        call.stdin.write(encoded())
        call.stdin.close()
        call.stdout.readline()
        call.stdout.close()

        assert call.process.wait(30) == 1
