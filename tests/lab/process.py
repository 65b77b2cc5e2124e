"""The supervisor's ends of the spawner, of a machine's agent and of a process in a machine.

Runs in the supervisor. Knows the agents' requests, nothing of storage or networks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Sequence

from . import wire
from .errors import MachineError

MACHINE_DIED = 255
MAX_OUTPUT = 16 * 1024 * 1024
# What a pipe holds, so that it can be written before anything is read.
MAX_INPUT = 32 * 1024


class Process:
    """A process in a machine. `pid` is its number as the supervisor sees it."""

    def __init__(self, agent: Agent, reply: socket.socket, started: wire.Message) -> None:
        self._agent = agent
        self._reply = reply
        self._inner_pid = int(started.get("pid", 0))
        self.pid = int(started.get("sender_pid", 0))
        self._code: int | None = started.get("exit")
        self.error: str = started.get("error", "")
        self._lock = threading.Lock()

    def wait(self) -> int:
        """Return the exit code (128 + signal); 255 when the machine went away under it."""
        with self._lock:
            if self._code is None:
                try:
                    self._code = int(wire.receive(self._reply)[0]["exit"])
                except wire.Closed:
                    self._code = MACHINE_DIED
            self._reply.close()
            return self._code

    def finished(self) -> bool:
        """Tell whether the exit code is known without waiting."""
        return self._code is not None

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when `wait` would not block."""
        return self._reply.fileno()

    def send_signal(self, number: int) -> None:
        """Send signal NUMBER to the process and its session; nothing when it is gone."""
        if self._code is None:
            try:
                self._agent.ask({"do": "signal", "pid": self._inner_pid, "number": number})
            except MachineError:
                return

    def kill(self) -> None:
        """SIGKILL the process and everything in its session."""
        self.send_signal(signal.SIGKILL)


class Agent:
    """The supervisor's end of one machine's PID 1."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self._control = control
        self._pidfd = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def ask(self, request: wire.Message) -> wire.Message:
        """Send REQUEST, return the reply; MachineError when it fails or the machine dies."""
        ours = self._request(request, ())
        with ours:
            return self._reply(ours)

    def spawn(self, request: wire.Message, stdio: Sequence[int]) -> Process:
        """Start a process with three descriptors; its errors are exit codes."""
        ours = self._request(request, stdio)
        try:
            started = self._reply(ours)
        except MachineError:
            ours.close()
            raise
        return Process(self, ours, started)

    def run(self, argv: Sequence[str], data: bytes, user: str) -> bytes:
        """Run ARGV with DATA as input and return its output; MachineError when it fails."""
        if len(data) > MAX_INPUT:
            raise MachineError(f"{len(data)} bytes of input (limit {MAX_INPUT})")
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        request: wire.Message = {
            "do": "spawn", "argv": list(argv), "user": user, "env": {}, "login": True, "cwd": None,
        }  # fmt: skip
        try:
            process = self.spawn(request, (in_read, out_write, out_write))
        finally:
            os.close(in_read)
            os.close(out_write)
        with contextlib.suppress(BrokenPipeError), open(in_write, "wb", buffering=0) as sink:
            sink.write(data)
        with open(out_read, "rb") as source:
            output = source.read(MAX_OUTPUT)
        code = process.wait()
        if code != 0:
            said = output[-500:].decode("utf-8", "replace").strip()
            raise MachineError(f"{argv[0]} ended with {code}: {said}")
        return output

    def _request(self, request: wire.Message, descriptors: Sequence[int]) -> socket.socket:
        """Send REQUEST with the other end of a new reply socket; return ours."""
        ours, theirs = wire.pair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with theirs:
            try:
                with self._lock:
                    wire.send(self._control, request, (theirs.fileno(), *descriptors))
            except (wire.Closed, OSError) as error:
                ours.close()
                raise MachineError("the machine is gone") from error
        return ours

    def _reply(self, ours: socket.socket) -> wire.Message:
        """Return the first reply on OURS; MachineError when it says failed or never comes."""
        try:
            reply, _ = wire.receive(ours)
        except wire.Closed as error:
            raise MachineError("the machine died") from error
        if "failed" in reply:
            raise MachineError(str(reply["failed"]))
        return reply

    def stop(self) -> None:
        """SIGSTOP the agent itself."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT the agent itself."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL the agent, and with it everything in the machine."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the agent if it is still there."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except (ProcessLookupError, OSError):
            return

    def wait(self) -> None:
        """Return when the agent is dead and reaped, with all its processes."""
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        self._control.close()
        os.close(self._pidfd)
        self._pidfd = -1


class Spawner:
    """The supervisor's end of the process that forks agents."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self._sock = sock
        self.pid = pid
        self._lock = threading.Lock()

    def start(self, name: str, log: Path) -> Agent:
        """Fork the agent of machine NAME into fresh namespaces; it mounts nothing yet."""
        ours, theirs = wire.pair()
        with theirs, open(log, "ab") as stream:
            try:
                with self._lock:
                    message: wire.Message = {"name": name}
                    wire.send(self._sock, message, (theirs.fileno(), stream.fileno()))
                    reply, _ = wire.receive(self._sock)
            except wire.Closed as error:
                raise MachineError("the spawner is gone") from error
        if "failed" in reply:
            raise MachineError(str(reply["failed"]))
        return Agent(int(reply["pid"]), ours)
