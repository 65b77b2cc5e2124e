"""A qrexec with fake machines, called through the real clients of `bin/`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.qrexec import Qrexec
from lab.selftest.fakes import FakeMachines
from lab.selftest.system import System

CLIENT = Path(__file__).resolve().parent.parent / "bin" / "qrexec-client"
SECONDS = 30


@dataclass
class Calls:
    """Makes calls from dom0 and from qubes. `clients` holds a directory for each caller."""

    system: System
    machines: FakeMachines
    clients: Path
    policy_file: Path
    log_path: Path
    qrexec: Qrexec

    def install(self, name: str, socket_path: Path) -> None:
        """Write copies of the clients that call by this machine's socket."""
        text = CLIENT.read_text().replace("/run/lab/qrexec.sock", str(socket_path))
        (self.clients / name).mkdir(parents=True)
        for program in ("qrexec-client", "qrexec-client-vm"):
            (self.clients / name / program).write_text(text)

    def client_argv(self, *words: str) -> list[str]:
        """Return a command line of qrexec-client in dom0."""
        return [sys.executable, "-IS", str(self.clients / "dom0" / "qrexec-client"), *words]

    def client_vm_argv(self, name: str, *words: str) -> list[str]:
        """Return a command line of qrexec-client-vm in a qube."""
        return [sys.executable, "-IS", str(self.clients / name / "qrexec-client-vm"), *words]

    def run_client(self, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run qrexec-client in dom0."""
        argv = self.client_argv(*words)
        return subprocess.run(argv, input=data, capture_output=True, timeout=SECONDS)

    def run_client_vm(
        self, name: str, *words: str, data: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run qrexec-client-vm in a qube."""
        argv = self.client_vm_argv(name, *words)
        return subprocess.run(argv, input=data, capture_output=True, timeout=SECONDS)

    def dom0(
        self, target: str, call: str, user: str = "DEFAULT", data: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Call a service from dom0."""
        return self.run_client("-d", target, f"{user}:QUBESRPC {call} dom0", data=data)

    def qube(
        self, name: str, target: str, call: str, data: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Call a service from a qube."""
        return self.run_client_vm(name, target, call, data=data)

    def service(
        self, name: str, call: str, text: str, mode: int = 0o755, folder: str = "/etc/qubes-rpc"
    ) -> None:
        """Put a service program into a machine."""
        self.machines.put(name, f"{folder}/{call}", text, mode)

    def policy(self, text: str) -> None:
        """Replace the policy."""
        self.policy_file.write_text(text)

    def log(self) -> str:
        """Return what qrexec wrote down."""
        return self.log_path.read_text()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so; fail when it takes too long."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)
