"""The frame's clock: requests, handlers and callers that do not come to an end; progress."""

import os
import time
from pathlib import Path

import pytest

from qborg_wire.reply import parse_progress, parse_reply
from unit.service.one_call import NONCE, ROW, encoded, run, script, start


def test_a_flood_without_end_is_cut_off(tmp_path: Path) -> None:
    child = start(script(tmp_path, "return GOOD"))
    with child, pytest.raises(BrokenPipeError):
        while True:
            os.write(child.stdin.fileno(), b"x" * 65536)

    assert child.returncode == 1


def test_a_caller_that_never_ends_its_request_runs_out_of_time(tmp_path: Path) -> None:
    child = start(script(tmp_path, "return GOOD", seconds=1))
    with child:
        child.stdin.write(encoded())
        child.stdin.flush()
        answer = child.stdout.read()

    assert b"outcome=time-out\n" in answer


def test_a_handler_that_catches_exceptions_is_ended_in_time(tmp_path: Path) -> None:
    body = """
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass
    """
    done = run(script(tmp_path, body, seconds=1), encoded())

    assert parse_reply(ROW, NONCE, done.stdout).cause == "time-out"


def test_a_child_left_behind_does_not_hold_the_call_open(tmp_path: Path) -> None:
    body = 'subprocess.Popen(["/bin/sleep", "30"], stderr=subprocess.DEVNULL,' \
        " stdout=subprocess.DEVNULL, start_new_session=True); return GOOD"
    began = time.monotonic()

    run(script(tmp_path, body), encoded())

    assert time.monotonic() - began < 20


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
    assert isinstance(parse_reply(ROW, NONCE, b"".join(lines[len(told):])), dict)


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

    assert parse_reply(ROW, NONCE, done.stdout).cause == "time-out"


def test_work_ends_when_the_caller_is_gone(tmp_path: Path) -> None:
    body = """
    while True:
        time.sleep(0.05)
        call.progress(Progress("files", 1, 0))
    """
    child = start(script(tmp_path, body, idle=True))
    child.stdin.write(encoded())
    child.stdin.close()
    child.stdout.readline()
    child.stdout.close()

    assert child.wait(30) == 1
