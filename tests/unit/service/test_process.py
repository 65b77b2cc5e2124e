"""Running a program: input, bounded output, bounded time, nothing left behind."""

import os
import time
from pathlib import Path

import pytest

from qborg_service import process

SHELL = "/bin/sh"


def run(
    *argv: str, stdin: bytes | None = None, timeout: float = 30.0, limit: int = 1000
) -> process.Finished:
    """Run a program in a small environment."""
    return process.run(
        argv, stdin=stdin, env={"PATH": "/usr/bin:/bin"}, timeout=timeout, limit=limit
    )


def test_input_and_output_larger_than_a_pipe_go_through() -> None:
    data = bytes(range(256)) * 4096

    assert run("/bin/cat", stdin=data, limit=len(data)).stdout == data


def test_code_and_both_streams_are_told_apart() -> None:
    done = run(SHELL, "-c", "echo out; echo err >&2; exit 7")

    assert (done.code, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


def test_without_input_a_program_reads_an_end() -> None:
    assert run("/bin/cat").stdout == b""


def test_a_program_that_ignores_its_input_is_no_error() -> None:
    assert run(SHELL, "-c", "exit 0", stdin=b"x" * 1_000_000).code == 0


def test_only_the_given_environment_is_there() -> None:
    assert run("/usr/bin/env").stdout == b"PATH=/usr/bin:/bin\n"


def test_the_limit_is_exact() -> None:
    assert len(run("/usr/bin/head", "-c", "1000", "/dev/zero").stdout) == 1000
    with pytest.raises(process.OutputTooLong):
        run("/usr/bin/head", "-c", "1001", "/dev/zero")


def test_endless_output_is_cut_off() -> None:
    with pytest.raises(process.OutputTooLong):
        run("/usr/bin/yes")


def test_too_long_a_complaint_is_shortened() -> None:
    done = run(SHELL, "-c", "head -c 100000 /dev/zero >&2; echo done")

    assert (done.stdout, len(done.stderr)) == (b"done\n", 1000)


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(process.TimedOut):
        run(SHELL, "-c", f"sleep 60 & echo $! > {note}; wait", timeout=1.0)

    assert gone(int(note.read_text()))


def test_a_child_that_keeps_the_pipe_does_not_keep_the_caller(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()

    done = run(SHELL, "-c", f"sleep 60 & echo $! > {note}; echo out")

    assert done.stdout == b"out\n"
    assert time.monotonic() - began < 50
    assert gone(int(note.read_text()))


def test_a_missing_program_says_so_without_its_arguments() -> None:
    with pytest.raises(process.ProgramMissing) as caught:
        run("/nonexistent/program", "hunter2")

    assert "hunter2" not in str(caught.value)


def test_a_time_out_does_not_tell_the_arguments() -> None:
    with pytest.raises(process.TimedOut) as caught:
        run(SHELL, "-c", "sleep 60; : hunter2", timeout=0.2)

    assert "hunter2" not in str(caught.value)


def test_a_result_shows_nothing_of_what_was_written() -> None:
    assert "hunter2" not in repr(run(SHELL, "-c", "echo hunter2; echo hunter2 >&2"))


def test_a_given_descriptor_is_inherited() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"secret")
    os.close(writer)
    try:
        done = process.run(
            ["/bin/cat", f"/proc/self/fd/{reader}"], stdin=None, env={"PATH": "/usr/bin:/bin"},
            timeout=30, limit=100, pass_fds=(reader,),
        )
    finally:
        os.close(reader)

    assert done.stdout == b"secret"


def gone(process_id: int) -> bool:
    """Wait until a process has ended; it may stay as a zombie where nobody reaps orphans."""
    for _attempt in range(200):
        try:
            if Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False
