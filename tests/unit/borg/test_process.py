"""Following a program: real processes, bounded, and none of them left behind."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from qborg_borg import process
from qborg_borg.command import Access
from qborg_borg.outcome import Outcome, Record
from qborg_service.secret import Secret


# Tells its own niceness, once it is the highest or so many seconds have gone.
NICENESS = """
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
while os.getpriority(os.PRIO_PROCESS, 0) != 19 and time.monotonic() < end:
    time.sleep(0.05)
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


def run(
    program: str, seconds: float | None = 20, limit: int = 1000,
    records: list[Record] | None = None,
) -> Outcome:  # fmt: skip
    """Run a Python program with nothing but a PATH."""
    argv = [sys.executable, "-I", "-c", program]
    heard = records.append if records is not None else None
    return process.run_logged(
        argv, {"PATH": "/usr/bin:/bin"}, timeout=seconds, limit=limit, on_record=heard
    )


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_records_arrive_while_the_program_works() -> None:
    times: list[float] = []
    program = "import sys, time; print('{}', file=sys.stderr, flush=True); time.sleep(1)"
    argv = [sys.executable, "-I", "-c", program]

    process.run_logged(argv, {}, timeout=20, on_record=lambda _record: times.append(time.time()))

    assert time.time() - times[0] > 0.8


@pytest.mark.parametrize("beside", [True, False])
def test_what_runs_beside_other_work_lets_that_go_first(beside: bool) -> None:
    reader, writer = os.pipe()
    argv = [sys.executable, "-I", "-c", NICENESS, "60" if beside else "0.3"]
    try:
        outcome = process.run_logged(argv, {}, timeout=90, stop=reader if beside else None)
    finally:
        os.close(reader)
        os.close(writer)

    assert outcome.stdout.strip() == (b"19" if beside else b"%d" % os.getpriority(0, 0))


def test_stdout_is_cut_at_its_limit() -> None:
    outcome = run("print('x' * 100000)", limit=10)

    assert outcome.stdout == b"x" * 10


def test_a_line_without_end_is_cut() -> None:
    records: list[Record] = []

    run("import sys; sys.stderr.write('x' * 3_000_000)", records=records)

    assert [len(record.message) for record in records] == [4000]


def test_a_flood_of_warnings_is_counted_and_not_kept() -> None:
    line = '{"type":"log_message","levelname":"WARNING","message":"m"}\n'

    outcome = run(f"import sys; sys.stderr.write({line!r} * 1000)")

    assert (outcome.warnings, len(outcome.records)) == (1000, process.RECORDS_KEPT)


def test_a_program_that_takes_too_long_is_gone_afterwards() -> None:
    outcome = run("import os, time; print(os.getpid(), flush=True); time.sleep(600)", seconds=2)

    assert outcome.cause == "time-out"
    assert not alive(int(outcome.stdout))


def test_a_program_is_ended_by_another_thread_however_quiet_it_is() -> None:
    stop, holds = os.pipe()
    argv = [sys.executable, "-I", "-c", "import os, time; print(os.getpid()); time.sleep(600)"]
    threading.Timer(1, os.close, [holds]).start()
    begun = time.monotonic()

    outcome = process.run_logged([*argv[:1], "-u", *argv[1:]], {}, timeout=60, stop=stop)

    os.close(stop)
    assert not alive(int(outcome.stdout)) and time.monotonic() - begun < 20


def test_one_that_nobody_ends_goes_to_its_own_end() -> None:
    stop, holds = os.pipe()

    outcome = process.run_logged(
        [sys.executable, "-I", "-c", "print('x')"], {}, timeout=60, stop=stop)

    for descriptor in (stop, holds):
        os.close(descriptor)
    assert (outcome.cause, outcome.stdout) == (None, b"x\n")


QUIET = """import sys, time
for _ in range({}):
    print("{{}}", file=sys.stderr, flush=True)
    time.sleep({})
"""


def test_a_program_that_says_nothing_any_more_is_ended() -> None:
    outcome = process.run_logged(
        [sys.executable, "-I", "-c", QUIET.format(1, 600)], {}, timeout=None, idle=1)

    assert outcome.cause == "time-out"


def test_a_program_that_goes_on_talking_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOOK", 0.5)

    outcome = process.run_logged(
        [sys.executable, "-I", "-c", QUIET.format(6, 1)], {}, timeout=None, idle=4)

    assert outcome.cause is None


def test_as_long_as_a_silent_program_works_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOOK", 0.1)
    looks: list[float] = []
    argv = [sys.executable, "-I", "-c", "import time; time.sleep(1)"]

    process.run_logged(argv, {}, timeout=20, on_look=lambda: looks.append(time.monotonic()))

    assert len(looks) > 3


def test_whatever_ends_the_caller_ends_the_program() -> None:
    pids: list[int] = []

    def leave(record: Record) -> None:
        pids.append(int(record.message))
        raise KeyboardInterrupt

    program = "import os, time; os.write(2, b'%d\\n' % os.getpid()); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        process.run_logged([sys.executable, "-I", "-c", program], {}, timeout=60, on_record=leave)

    assert not alive(pids[0])


def test_a_missing_program_is_a_cause() -> None:
    assert process.run_logged(["/nonexistent/borg"], {}, timeout=5).cause == "borg-missing"


def test_the_caller_says_which_codes_are_a_success() -> None:
    argv = [sys.executable, "-I", "-c", "raise SystemExit(1)"]

    assert process.run_logged(argv, {}, timeout=20).cause is None
    assert process.run_logged(argv, {}, timeout=20, done=lambda code: code == 0).cause is not None


def test_stdin_is_empty_and_no_descriptor_leaks() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    try:
        outcome = run("import os; print(os.read(0, 9), sorted(os.listdir('/proc/self/fd')))")
    finally:
        os.close(reader)
        os.close(writer)

    assert outcome.stdout == b"b'' ['0', '1', '2', '3']\n"


def test_only_a_failed_connection_is_asked_about_again() -> None:
    outcome = Outcome(52, "wrong-passphrase", (), b"")
    access = Access("ssh://bakserver/./repos/m-work", "borg", "ssh", Secret(b"x"))

    assert process.explain_connection(outcome, access) is outcome
