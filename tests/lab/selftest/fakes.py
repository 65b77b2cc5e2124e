"""Machines that are directories and host processes, for testing the daemons without namespaces.

A file of machine NAME at /etc/x lies at ROOT/NAME/etc/x. Programs found below one of the
service directories run as ordinary processes of the test, whatever the user asked for.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import MachineError
from lab.machines import Boot

PREFIXES = ("/etc/qubes", "/usr/local/etc/qubes", "/run/qubes")
STEPS = ("create", "remove", "boot", "shutdown", "kill", "pause", "unpause", "copy_volume")


class FakeProcess:
    """A process of a fake machine."""

    def __init__(self, popen: subprocess.Popen[bytes], machines: FakeMachines, name: str) -> None:
        """Take a running process and where it runs."""
        self.popen = popen
        self.pid = popen.pid
        self._machines = machines
        self._name = name

    def wait(self) -> int:
        """Return the exit code, 255 when the machine went away."""
        code = self.popen.wait()
        if not self._machines.alive(self._name):
            return 255
        return code if code >= 0 else 128 - code


@dataclass
class FakeMachines:
    """See the module. `steps` lists what was done to machines; `broken` do not boot."""

    root: Path
    up: dict[str, Boot] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    users: list[str] = field(default_factory=list)
    processes: list[tuple[str, FakeProcess]] = field(default_factory=list)
    stops: dict[str, int] = field(default_factory=dict)
    keep: dict[str, int] = field(default_factory=dict)

    def create(self, name: str, klass: str, template: str | None) -> None:
        """Make a machine's directory."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        self.steps.append(("create", name))

    def remove(self, name: str) -> None:
        """Forget a machine."""
        self.steps.append(("remove", name))

    def run_dir(self, name: str) -> Path:
        """Return where the machine would see /run/lab."""
        path = self.root / name / "run-lab"
        (path / "qubesdb").mkdir(parents=True, exist_ok=True)
        return path

    def boot(self, name: str, boot: Boot) -> None:
        """Start a machine, unless it is broken."""
        if name in self.broken:
            raise MachineError(f"{name} is broken")
        for key, value in boot.qubesdb.items():
            (self.run_dir(name) / "qubesdb" / key.replace("/", "%")).write_text(value)
        self.up[name] = boot
        self.steps.append(("boot", name))

    def settle(self, name: str) -> None:
        """Do nothing: here a machine is put away when it is stopped."""

    def shutdown(self, name: str) -> None:
        """Stop a machine and its processes."""
        self._stop("shutdown", name)

    def kill(self, name: str) -> None:
        """Stop a machine and its processes."""
        self._stop("kill", name)

    def _stop(self, step: str, name: str) -> None:
        self.steps.append((step, name))
        self.up.pop(name, None)
        self.stops[name] = self.stops.get(name, 0) + 1
        for owner, process in self.processes:
            if owner == name and process.popen.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)

    def pause(self, name: str) -> None:
        """Note it."""
        self.steps.append(("pause", name))

    def unpause(self, name: str) -> None:
        """Note it."""
        self.steps.append(("unpause", name))

    def alive(self, name: str) -> bool:
        """Tell whether a machine is up; dom0 always is."""
        return name in self.up or name == "dom0"

    def copy_volume(self, source: str, target: str, volume: str) -> None:
        """Note it."""
        self.steps.append(("copy_volume", f"{source}:{volume} {target}"))

    def revisions(self, name: str, volume: str) -> list[str]:
        """Return one id for each stop, as many as are kept."""
        ids = [str(number + 1) for number in range(self.stops.get(name, 0))]
        return ids[max(0, len(ids) - self.keep.get(name, 1)) :]

    def set_revisions_to_keep(self, name: str, volume: str, count: int) -> None:
        """Keep that many."""
        self.keep[name] = count

    def path(self, name: str, path: str) -> Path:
        """Return where a file of the machine lies."""
        return self.root / name / path.lstrip("/")

    def put(self, name: str, path: str, text: str, mode: int = 0o755) -> None:
        """Write a file into a machine."""
        target = self.path(name, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def lookup(self, name: str, candidates: Sequence[str]) -> list[tuple[str, bool]]:
        """Return those candidates that exist, and whether they can be executed."""
        found = [(item, self.path(name, item)) for item in candidates]
        return [(item, os.access(path, os.X_OK)) for item, path in found if path.exists()]

    def run(self, name: str, argv: Sequence[str], data: bytes = b"", user: str = "root") -> bytes:
        """Run a program and return its output."""
        return subprocess.run(self._argv(name, argv), input=data, capture_output=True).stdout

    def _argv(self, name: str, argv: Sequence[str]) -> list[str]:
        return [str(self.path(name, a)) if a.startswith(PREFIXES) else a for a in argv]

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
    ) -> FakeProcess:
        """Start a program on the host in place of the machine."""
        if not self.alive(name):
            raise MachineError(f"{name} is not running")
        self.users.append(user)
        base = {"HOME": "/", "USER": user, "LOGNAME": user, "SHELL": "/bin/sh", "PATH": "/bin"}
        popen = subprocess.Popen(
            self._argv(name, argv),
            env=base | dict(env or {}),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        process = FakeProcess(popen, self, name)
        self.processes.append((name, process))
        return process
