"""One connection to a lab's control socket, from the client's side.

Runs in pytest or labctl on the host; knows the framing of requests, not their meaning.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Sequence

from . import wire
from .errors import LabError

SOCKET = "run/control.sock"


def connect(path: Path) -> socket.socket:
    """Connect to the control socket at PATH; LabError when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # Through a descriptor of its directory: a socket's path has at most 107 bytes.
        directory = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
    except OSError as error:
        sock.close()
        hint = "bring one up: tests/labctl run --state DIR -- COMMAND"
        raise LabError(f"no lab answers at {path} ({error.strerror})", hint) from error
    return sock


class Channel:
    """A connection that asks one thing after the other."""

    def __init__(self, path: Path) -> None:
        self._sock = connect(path)

    def ask(self, what: str, **arguments: Any) -> Any:
        """Send the request WHAT and return its result; LabError carries its error and hint."""
        return ok(request(self._sock, {"do": what, **arguments}))

    def close(self) -> None:
        """Hang up."""
        self._sock.close()


def request(
    sock: socket.socket, message: wire.Message, descriptors: Sequence[int] = ()
) -> wire.Message:
    """Send one message and return the next one; LabError when the lab is gone."""
    try:
        wire.send(sock, message, descriptors)
        return wire.receive(sock)[0]
    except (wire.Closed, OSError) as error:
        raise LabError("the lab is gone", "read its log/supervisor.log") from error


def ok(reply: wire.Message) -> Any:
    """Return a reply's result; LabError when it is an error."""
    if "error" in reply:
        raise LabError(str(reply["error"]), str(reply.get("hint", "")))
    return reply.get("ok")
