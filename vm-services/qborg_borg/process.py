"""Run borg, or a program that runs it, and follow its log while it works.

Runs in the maintenance qube, in clients and in workers. The passphrase goes through an inherited
pipe and nowhere else; output is bounded; whatever ends the call, nothing of it keeps running.
"""

import contextlib
import os
import pwd
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from qborg_borg import command, confinement
from qborg_borg.outcome import (
    Outcome,
    Record,
    cause_of_connection,
    cause_of_failure,
    parse_record,
    succeeded,
)
from qborg_service.process import ProcessError, run
from qborg_service.secret import Secret

LINE_LIMIT = 64 * 1024  # bytes of one log line; the rest of a longer one is dropped
RECORDS_KEPT = 200
STDOUT_LIMIT = 4 * 1024 * 1024
_GRACE = 10.0  # seconds
_PROBE = 60.0  # seconds
_LOOK = 30.0  # seconds that one look for something to read lasts
_CHUNK = 64 * 1024
_NICEST = 19

OnRecord = Callable[[Record], None]
OnStdout = Callable[[bytes], None]
OnLook = Callable[[], None]


@dataclass
class _Reading:
    """What has been read so far; the last records are kept, warnings are all counted."""

    limit: int
    on_record: OnRecord | None
    on_stdout: OnStdout | None = None
    stdout: bytearray = field(default_factory=bytearray, repr=False)
    line: bytearray = field(default_factory=bytearray, repr=False)
    records: deque[Record] = field(default_factory=lambda: deque(maxlen=RECORDS_KEPT))
    warnings: int = 0

    def take_stdout(self, chunk: bytes) -> None:
        if self.on_stdout is not None:
            self.on_stdout(chunk)
            return
        self.stdout += chunk[:self.limit - len(self.stdout)]

    def take_stderr(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._grow(piece)
            self._finish_line()
        self._grow(rest)

    def _grow(self, piece: bytes) -> None:
        self.line += piece[:max(0, LINE_LIMIT - len(self.line))]

    def _finish_line(self) -> None:
        if self.line.strip():
            record = parse_record(bytes(self.line))
            if record.trouble:
                self.records.append(record)
            self.warnings += record.level == "WARNING"
            if self.on_record is not None:
                self.on_record(record)
        self.line.clear()

    def finish(self) -> None:
        self._finish_line()


def home() -> str:
    """Answer the home of the user we are, as the password database knows it."""
    return pwd.getpwuid(os.getuid()).pw_dir


def plain_environment() -> dict[str, str]:
    """Answer the closed environment of a program that gets no secret from us."""
    return {"HOME": home(), "LANG": "C.UTF-8", "PATH": command.PATH}


def run_borg(
    tail: Sequence[str],
    access: command.Access,
    *,
    timeout: float | None,
    on_record: OnRecord | None = None,
    cwd: str | None = None,
    limit: int = STDOUT_LIMIT,
    on_stdout: OnStdout | None = None,
    on_look: OnLook | None = None,
    typed: Secret | None = None,
    writable: Sequence[Path] = (),
    stop: int | None = None,
) -> Outcome:
    """Run borg with the arguments of a builder in `command` and answer how it ended.

    `timeout` in seconds, None where the caller's own deadline ends the run; `limit` bytes of
    stdout are kept, or none if `on_stdout` takes them; `on_look` is called as long as it runs,
    twice a minute at least; `writable`: the only directories that borg can write to, where this
    system lets us see to that; `typed` answers what borg asks for, the passphrase too: without a
    terminal it reads its stdin. `stop`: as for `run_logged`. Never raises for what borg or the
    server does; a missing borg is the cause `borg-missing`.
    """
    with contextlib.ExitStack() as stack:
        descriptor = _secret_pipe(typed or access.passphrase, stack)
        environment = command.environment(access, None if typed else descriptor, home())
        argv = command.argv(access, tail)
        if writable:  # borg puts what it reads there; a file beside an archive's would be one of it
            import tempfile  # a backup starts without it

            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="qborg-"))
            argv = confinement.confined(argv, [*writable, Path(place)])
            environment["TMPDIR"] = place
        outcome = run_logged(
            argv, environment,
            timeout=timeout, on_record=on_record, cwd=cwd, limit=limit, on_stdout=on_stdout,
            on_look=on_look, pass_fds=(descriptor,),
            stdin=descriptor if typed else subprocess.DEVNULL, stop=stop,
        )
    return explain_connection(outcome, access)


def explain_connection(outcome: Outcome, access: command.Access) -> Outcome:
    """Answer the outcome with the cause of a failed connection, which borg does not tell.

    Borg's one error stands for a wrong host key, a refused login, a missing borg and a server
    that is away; ssh itself, asked to start borg on the server again, tells which.
    """
    if outcome.cause != "connection-failed":
        return outcome
    probe = command.serve(access)
    try:
        tried = run(probe, stdin=b"", env=plain_environment(), timeout=_PROBE, limit=_CHUNK)
    except ProcessError:
        return replace(outcome, cause="server-unreachable")
    words = tried.stderr.decode("utf-8", "replace").strip()
    told = Record("log_message", level="ERROR", msgid="ssh", message=words.split("\n")[-1])
    return replace(
        outcome, cause=cause_of_connection(tried.code, words), records=(*outcome.records, told)
    )


def run_logged(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout: float | None,
    idle: float | None = None,
    on_record: OnRecord | None = None,
    cwd: str | None = None,
    limit: int = STDOUT_LIMIT,
    on_stdout: OnStdout | None = None,
    on_look: OnLook | None = None,
    pass_fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    done: Callable[[int], bool] = succeeded,
    stop: int | None = None,
) -> Outcome:
    """Run a program whose stderr is borg's log and answer how it ended.

    It is ended with the cause `time-out` after `timeout` seconds in all, or `idle` seconds in
    which it said nothing, or once `stop` can be read, a descriptor of another thread's, whose work
    goes first. `done` tells which exit codes are a success; without it, borg's own.
    """
    try:
        process = subprocess.Popen(
            argv, env=dict(environment), cwd=cwd, pass_fds=pass_fds, start_new_session=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        return Outcome(127, "borg-missing", (), b"")
    reading = _Reading(limit, on_record, on_stdout)
    in_time = False
    try:
        in_time = _follow(process, reading, timeout, idle, stop, on_look)
    finally:
        _end(process, at_once=not in_time)
    reading.finish()
    records, code = tuple(reading.records), process.returncode
    cause = None if done(code) else cause_of_failure(code, records)
    return Outcome(code, cause if in_time else "time-out", records, bytes(reading.stdout),
                   reading.warnings)  # fmt: skip


def _secret_pipe(lines: Secret, stack: contextlib.ExitStack) -> int:
    """Answer a descriptor from which the lines can be read until the stack ends."""
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    try:
        # At most three lines: they fit the pipe's buffer, so nobody needs to read meanwhile.
        os.write(writer, lines.reveal())
    finally:
        os.close(writer)
    return reader


def _follow(
    process: subprocess.Popen[bytes], reading: _Reading, timeout: float | None,
    idle: float | None, stop: int | None, on_look: OnLook | None,
) -> bool:
    """Read both streams to their ends; answer False when time ran out, or it was stopped, before.

    Idle time is a sum of our own looks, so that an hour of a suspended qube is but one of them.
    """
    assert process.stdout is not None and process.stderr is not None
    deadline = None if timeout is None else time.monotonic() + timeout
    quiet = 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, reading.take_stdout)
        selector.register(process.stderr, selectors.EVENT_READ, reading.take_stderr)
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ)
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICEST)  # before it starts its ssh
        while len(selector.get_map()) > (stop is not None):
            left = _LOOK if deadline is None else min(_LOOK, deadline - time.monotonic())
            if idle is not None:
                left = min(left, idle - quiet)
            if left <= 0:
                return False
            ready = selector.select(left)
            quiet = 0.0 if ready else quiet + left
            if on_look is not None:
                on_look()
            for key, _events in ready:
                if key.fd == stop:
                    return False
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data(chunk)
    return True


def _end(process: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """See that the process is gone, gently first: borg then unlocks."""
    steps = ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None))
    try:
        process.wait(0 if at_once else _GRACE)
    except subprocess.TimeoutExpired:
        for number, patience in steps:
            os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
