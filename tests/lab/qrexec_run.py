"""Running one service in one machine: finding its program, its user, its descriptors.

Runs in the supervisor, under `qrexec`. Policy has been asked before; nothing here asks it.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from lab import rpc_config
from lab.errors import MachineError
from lab.fault_rules import parse_cut
from lab.faults import Verdict
from lab.plumbing import Log

SERVICE_DIRECTORIES = ("/run/qubes-rpc", "/usr/local/etc/qubes-rpc", "/etc/qubes-rpc")
CONFIG_DIRECTORIES = tuple(
    f"{base}/qubes/rpc-config" for base in ("/run", "/usr/local/etc", "/etc")
)
DOM0_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
NAME_LIMIT = 255
CHUNK = 65536
PROBLEM_STATUS, NOT_FOUND_STATUS, BROKEN_STATUS = 125, 127, 255
KILLED_STATUS = 128 + signal.SIGKILL


class Process(Protocol):
    """A process in a machine. `pid` is its number as this process sees it."""

    pid: int

    def wait(self) -> int:
        """Return the exit code, 128 + signal, 255 when the machine is gone."""


class Host(Protocol):
    """The part of `Machines` that running a service needs."""

    def alive(self, name: str) -> bool:
        """Tell whether a machine is up."""

    def lookup(self, name: str, candidates: Sequence[str]) -> list[tuple[str, bool]]:
        """Return which of the paths are there, and whether they can be executed."""

    def run(self, name: str, argv: Sequence[str], data: bytes = b"", user: str = "root") -> bytes:
        """Run a program and return its output."""

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        user: str,
        env: Mapping[str, str] | None,
        login: bool,
        stdin: int,
        stdout: int,
        stderr: int,
        cwd: str | None = None,
    ) -> Process:
        """Start a program."""


@dataclass(frozen=True)
class Service:
    """A call as its machine gets it. Without `name` it is a command for the user's shell.

    `requested` is how the caller named dom0, (type, target); a machine other than dom0 is not
    told.
    """

    machine: str
    user: str
    source: str
    name: str = ""
    argument: str = ""
    requested: tuple[str, str] = ("", "")
    command: str = ""

    @property
    def full_name(self) -> str:
        """Service and argument with the `+` that is always there."""
        return f"{self.name}+{self.argument}"

    @property
    def in_dom0(self) -> bool:
        """Tell whether it runs in dom0."""
        return self.machine == "dom0"


class CannotRun(Exception):
    """The service does not begin; `status` is what the caller gets for it."""

    def __init__(self, status: int, message: str) -> None:
        """Take the exit status and a line for the log."""
        super().__init__(message)
        self.status = status


def find(host: Host, service: Service) -> tuple[list[str], str]:
    """Return the command line and the user of a service; raise CannotRun."""
    if not service.name:
        return ["/bin/bash", "-lc", service.command], service.user
    names = [name for name in (service.full_name, service.name) if len(name) <= NAME_LIMIT]
    programs = [f"{folder}/{name}" for name in names for folder in SERVICE_DIRECTORIES]
    configs = [f"{folder}/{name}" for name in names for folder in CONFIG_DIRECTORIES]
    there = dict(host.lookup(service.machine, programs + configs))
    user = service.user
    chosen = next((path for path in configs if path in there), None)
    if chosen is not None and not service.in_dom0:
        user = _configured_user(host, service, chosen)
    program = next((path for path in programs if path in there), None)
    if program is None:
        raise CannotRun(NOT_FOUND_STATUS, "service not found")
    if not there[program]:
        raise CannotRun(PROBLEM_STATUS, f"{program} is not executable")
    return [program, *filter(None, [service.argument])], user


def _configured_user(host: Host, service: Service, path: str) -> str:
    untrusted_text = host.run(service.machine, ["/bin/cat", "--", path]).decode("utf-8", "replace")
    try:
        config = rpc_config.parse(untrusted_text)
    except rpc_config.ConfigError as error:
        raise CannotRun(PROBLEM_STATUS, f"{path}: {error}") from error
    return config.force_user or service.user


def environment(service: Service) -> dict[str, str]:
    """Return the variables that a service gets beside those of its login."""
    found = {
        "QREXEC_REMOTE_DOMAIN": service.source,
        "QREXEC_SERVICE_FULL_NAME": service.full_name,
        "QREXEC_SERVICE_ARGUMENT": service.argument,
        "QREXEC_REQUESTED_TARGET_TYPE": service.requested[0],
    }
    if not service.name:
        found = {}
    elif service.in_dom0:
        suffix = "_KEYWORD" if service.requested[0] == "keyword" else ""
        found["QREXEC_REQUESTED_TARGET" + suffix] = service.requested[1]
    return found | ({"PATH": DOM0_PATH} if service.in_dom0 else {"QREXEC_AGENT_PID": "1"})


def spawn(host: Host, service: Service, stdio: tuple[int, int, int]) -> Process:
    """Find and start a service; raise CannotRun, or MachineError when its machine is gone."""
    argv, user = find(host, service)
    login = not service.in_dom0
    if login and service.name:
        # A login shell comes first, so that the profile is read, as the genuine agent does.
        argv = ["/bin/sh", "-lc", 'exec "$@"', "sh", *argv]
    return host.spawn(
        service.machine,
        argv,
        user=user,
        env=environment(service),
        login=login,
        stdin=stdio[0],
        stdout=stdio[1],
        stderr=stdio[2],
        cwd="/run/qubes" if service.in_dom0 else None,
    )


class Running:
    """A service at work. `descriptors` are the caller's: its stdin, stdout and stderr."""

    def __init__(
        self, host: Host, service: Service, log: Log, cut: Verdict, on_cut: Callable[[], None]
    ) -> None:
        """Start the service; raise CannotRun or MachineError. `on_cut` is told of a cut."""
        self._log = log
        self._service = service
        self._on_cut = on_cut
        stdin, self._near_in = socket.socketpair()
        self._near_out, stdout = socket.socketpair()
        errors, stderr = os.pipe()
        with stdin, stdout:
            try:
                stdio = (stdin.fileno(), stdout.fileno(), stderr)
                self.process = spawn(host, service, stdio)
            except (CannotRun, MachineError):
                self._near_in.close()
                self._near_out.close()
                os.close(errors)
                raise
            finally:
                os.close(stderr)
        far_errors, near_errors = os.pipe()
        relay = threading.Thread(target=self._relay_errors, args=(errors, near_errors), daemon=True)
        relay.start()
        self._relay = relay
        ends = [self._near_in, self._near_out]
        if cut.kind == "cut":
            count, direction = parse_cut(cut.argument)
            self._insert(ends, count, direction)
        self._withheld = cut.kind == "withhold"
        if self._withheld:
            self._swallow(ends)
        elif cut.kind == "kill":
            self.kill()
        self.descriptors = (ends[0].detach(), ends[1].detach(), far_errors)

    def wait(self) -> int:
        """Return the exit code, when the program has ended and its stderr is closed."""
        status = self.process.wait()
        self._relay.join()
        return KILLED_STATUS if self._withheld else status

    def kill(self) -> None:
        """SIGKILL the one process; what it has started lives on, as it would anywhere."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)

    def _relay_errors(self, source: int, sink: int) -> None:
        """Copy stderr to the log and, from a qube, to the caller until nobody holds it open."""
        prefix = f"{self._service.full_name}-{self._service.source}"
        listening = not self._service.in_dom0
        while data := os.read(source, CHUNK):
            for line in data.decode("utf-8", "replace").splitlines():
                self._log.write(f"{prefix}: {line}")
            while listening and data:
                try:
                    data = data[os.write(sink, data) :]
                except OSError:
                    listening = False
        os.close(source)
        os.close(sink)

    def _insert(self, ends: list[socket.socket], count: int, direction: str) -> None:
        """Put a counting copy between caller and service, which breaks after `count` bytes."""
        place = 0 if direction == "in" else 1
        caller, near = socket.socketpair()
        service, ends[place] = ends[place], caller
        other = ends[1 - place].dup()
        source, sink = (near, service) if direction == "in" else (service, near)

        def copy() -> None:
            with near, service, other:
                left = count
                while left and (data := source.recv(min(CHUNK, left))):
                    sink.sendall(data)
                    left -= len(data)
                if left == 0:
                    self._on_cut()
                    other.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=_quietly, args=(copy,), daemon=True).start()

    def _swallow(self, ends: list[socket.socket]) -> None:
        """Let the caller see the end of the output, when it comes, and nothing before it."""
        caller, near = socket.socketpair()
        service, ends[1] = ends[1], caller

        def swallow() -> None:
            with near, service:
                while service.recv(CHUNK):
                    pass

        threading.Thread(target=_quietly, args=(swallow,), daemon=True).start()


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except OSError:
        return
