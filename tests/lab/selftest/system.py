"""A whole stand-in system, as tests of the daemons hold it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from lab.faults import Faults
from lab.qubesd import Qubesd
from lab.selftest.fakes import FakeMachines


@dataclass
class System:
    """A qubesd that answers on a socket, and what it works on."""

    qubesd: Qubesd
    machines: FakeMachines
    faults: Faults
    socket_path: Path

    def raw(self, request: bytes) -> bytes:
        """Send bytes to the socket and return all that comes back."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.socket_path))
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                return connection.makefile("rb").read()
            except (BrokenPipeError, ConnectionResetError):
                return b""

    def call(self, method: str, target: str, payload: bytes = b"") -> bytes:
        """Make one call as dom0."""
        return self.raw(f"{method} dom0 name {target}\0".encode() + payload)


def failure(answer: bytes) -> str:
    """Return the exception's class of an answer that carries one."""
    kind, _, rest = answer.partition(b"\0")
    assert kind == b"2", answer
    return rest.split(b"\0")[0].decode()
