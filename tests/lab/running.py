"""A program that runs in a machine, as its client sees it.

Runs in pytest or labctl on the host. The program dies with the connection that started it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Mapping, Sequence

from . import channel, wire
from .errors import LabError

DRAIN_SECONDS = 10.0


class Execution:
    """One program started with given descriptors (the caller's own to close)."""

    def __init__(
        self, path: Path, qube: str, argv: Sequence[str], user: str,
        env: Mapping[str, str] | None, cwd: str | None, stdio: Sequence[int],
    ) -> None:  # fmt: skip
        self.args = list(argv)
        self.returncode: int | None = None
        self._sock = channel.connect(path)
        message = {
            "do": "exec", "qube": qube, "argv": self.args, "user": user, "env": dict(env or {}),
            "cwd": cwd,
        }  # fmt: skip
        try:
            started = channel.request(self._sock, message, stdio)
            channel.ok(started)
        except LabError:
            self._sock.close()
            raise
        self.pid = int(started["started"])
        self.error = str(started["error_text"])

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the program ended."""
        return self._sock.fileno()

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; subprocess.TimeoutExpired after TIMEOUT seconds."""
        if self.returncode is None:
            self._sock.settimeout(timeout)
            try:
                message, _ = wire.receive(self._sock)
            except TimeoutError as error:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from error
            except (wire.Closed, OSError) as error:
                raise LabError("the lab is gone", "read log/supervisor.log") from error
            self.returncode = int(message["exit"])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the program and its session."""
        if self.returncode is None:
            wire.send(self._sock, {"signal": number})

    def kill(self) -> None:
        """SIGKILL the program and its session."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Hang up, which ends the program if it still runs."""
        self._sock.close()


class RunningProcess(Execution):
    """A program with pipes: stdin (None unless INPUT), stdout, stderr are binary files."""

    def __init__(
        self, path: Path, qube: str, argv: Sequence[str], user: str,
        env: Mapping[str, str] | None, cwd: str | None, input: bool,
    ) -> None:  # fmt: skip
        ends = [os.pipe() for _ in range(3)]
        theirs = (ends[0][0], ends[1][1], ends[2][1])
        ours = (ends[0][1], ends[1][0], ends[2][0])
        try:
            super().__init__(path, qube, argv, user, env, cwd, theirs)
        except LabError:
            wire.close_all(ours)
            raise
        finally:
            wire.close_all(theirs)
        self.stdin: BinaryIO = open(ours[0], "wb", buffering=0)
        self.stdout: BinaryIO = open(ours[1], "rb")
        self.stderr: BinaryIO = open(ours[2], "rb")
        if not input:
            self.stdin.close()

    def __enter__(self) -> RunningProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Hang up and close the pipes."""
        super().close()
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()

    def communicate(self, input: bytes | None, timeout: float) -> tuple[bytes, bytes]:
        """Feed INPUT, collect the output, wait; subprocess.TimeoutExpired kills first."""
        deadline = time.monotonic() + timeout
        threading.Thread(target=self._feed, args=(input or b"",), daemon=True).start()
        output: dict[int, bytearray] = {
            self.stdout.fileno(): bytearray(),
            self.stderr.fileno(): bytearray(),
        }
        open_ends = dict(output)
        ended_at: float | None = None
        while open_ends or self.returncode is None:
            watched = [*open_ends, *([] if self.returncode is not None else [self.fileno()])]
            limit = deadline if ended_at is None else min(deadline, ended_at + DRAIN_SECONDS)
            ready, _, _ = select.select(watched, [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                if ended_at is not None:
                    break
                self.kill()
                raise subprocess.TimeoutExpired(
                    self.args, timeout, *(bytes(part) for part in output.values())
                )
            for descriptor in ready:
                if descriptor in open_ends:
                    data = os.read(descriptor, 65536)
                    output[descriptor] += data
                    if not data:
                        del open_ends[descriptor]
                else:
                    self.wait()
                    ended_at = time.monotonic()
        stdout, stderr = output.values()
        return bytes(stdout), bytes(stderr)

    def _feed(self, data: bytes) -> None:
        """Write DATA to the program and close its stdin."""
        try:
            if not self.stdin.closed:
                view = memoryview(data)
                while view:
                    view = view[self.stdin.write(view) :]
            self.stdin.close()
        except (OSError, ValueError):  # it has ended, and its stdin is closed by whoever waits
            return
