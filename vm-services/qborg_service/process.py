"""Run one program: given input, bounded output, bounded time, nothing left behind.

Runs in every qube with a service. Knows descriptors and signals, not what the program does.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_CHUNK = 65536
_LOOK = 0.5  # seconds


class ProcessError(Exception):
    """The program gave no result. The message names the program, never its arguments."""


class ProgramMissing(ProcessError):
    """There is no such program."""


class TimedOut(ProcessError):
    """The program did not end in time and was killed with its group."""


class OutputTooLong(ProcessError):
    """The program wrote more than allowed on stdout and was killed with its group."""


@dataclass(frozen=True)
class Finished:
    """How a program ended: exit code (-N: killed by signal N) and what it wrote."""

    code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None,
    env: Mapping[str, str],
    timeout: float,
    limit: int,
    pass_fds: Sequence[int] = (),
    ends: Callable[[], bool] | None = None,
) -> Finished:
    """Run argv (absolute path first) in a session of its own until its first process ends.

    `timeout` in seconds, `limit` in bytes of stdout; of stderr, what exceeds it is dropped. Once it
    `ends`, which is asked twice a second, its time is up.
    Whatever of its group still lives when it ends is killed. Raises ProcessError.
    """
    try:
        child = subprocess.Popen(
            argv, env=dict(env), pass_fds=tuple(pass_fds), start_new_session=True,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise ProgramMissing(f"{argv[0]} is not installed") from error
    with child:
        try:
            conversation = _Conversation(child, stdin or b"", limit)
            conversation.hold(time.monotonic() + timeout, ends)
        finally:
            kill_group(child)
        return Finished(child.wait(), *conversation.heard())


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill every process of a child that leads its own session; it is not yet waited for."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


class _Conversation:
    """What is still to be said to a child and what was heard from it so far."""

    def __init__(self, child: subprocess.Popen[bytes], pending: bytes, limit: int) -> None:
        assert child.stdout is not None and child.stderr is not None
        self._program = os.fspath(child.args[0])  # type: ignore[index, arg-type]
        self._child, self._pending, self._limit = child, pending, limit
        self._out, self._err = child.stdout.fileno(), child.stderr.fileno()
        self._kept = {self._out: bytearray(), self._err: bytearray()}

    def hold(self, deadline: float, ends: Callable[[], bool] | None) -> None:
        """Talk until the child ends; raises TimedOut at the deadline (monotonic), OutputTooLong."""
        longest = float("inf") if ends is None else _LOOK
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            ended = os.pidfd_open(self._child.pid)
            stack.callback(os.close, ended)
            selector.register(ended, selectors.EVENT_READ)
            for descriptor in self._kept:
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            if self._child.stdin is not None:
                os.set_blocking(self._child.stdin.fileno(), False)
                selector.register(self._child.stdin.fileno(), selectors.EVENT_WRITE)
            running = True
            while running:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or ends is not None and ends():
                    raise TimedOut(f"{self._program} did not end in time")
                ready = [key.fd for key, _events in selector.select(min(remaining, longest))]
                running = ended not in ready
                for descriptor in ready:
                    self._turn(selector, descriptor)
            for descriptor in [fd for fd in self._kept if fd in selector.get_map()]:
                while self._listen(selector, descriptor):
                    pass

    def heard(self) -> tuple[bytes, bytes]:
        """Answer stdout and the begin of stderr."""
        return bytes(self._kept[self._out]), bytes(self._kept[self._err])

    def _turn(self, selector: selectors.BaseSelector, descriptor: int) -> None:
        if descriptor in self._kept:
            self._listen(selector, descriptor)
        elif self._child.stdin is not None and not self._child.stdin.closed:
            if descriptor == self._child.stdin.fileno():
                self._speak(selector, descriptor)

    def _listen(self, selector: selectors.BaseSelector, descriptor: int) -> bool:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            selector.unregister(descriptor)
            return False
        kept = self._kept[descriptor]
        if descriptor == self._out and len(kept) + len(chunk) > self._limit:
            raise OutputTooLong(f"{self._program} wrote more than allowed")
        kept += chunk[: max(0, self._limit - len(kept))]
        return True

    def _speak(self, selector: selectors.BaseSelector, descriptor: int) -> None:
        try:
            self._pending = self._pending[os.write(descriptor, self._pending[:_CHUNK]) :]
        except BrokenPipeError:
            self._pending = b""
        if not self._pending:
            selector.unregister(descriptor)
            assert self._child.stdin is not None
            self._child.stdin.close()
