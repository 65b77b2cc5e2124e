"""Messages between the qrexec stand-in and its clients in `bin/`.

Runs in the supervisor. A message is four bytes of length (big endian) and that many bytes. The
client sends one, fields joined by NUL; it gets messages whose first byte says what they are.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

REQUEST_LIMIT = 70000

ACCEPTED = b"A"  # with descriptors of the service's stdin, stdout and stderr
EXITED = b"X"  # with the status in decimal
REFUSED = b"R"
PROBLEM = b"P"  # with a line for stderr; status 125
CLOSED = b"C"  # the connection broke; status 255


class BadRequest(Exception):
    """The client sent something else than one well-formed request."""


def receive(connection: socket.socket) -> list[bytes]:
    """Return the fields of the request; raise BadRequest."""
    length = int.from_bytes(_exactly(connection, 4), "big")
    if length > REQUEST_LIMIT:
        raise BadRequest
    return _exactly(connection, length).split(b"\0")


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise BadRequest
        data += chunk
    return data


def send(
    connection: socket.socket, kind: bytes, text: bytes = b"", descriptors: Sequence[int] = ()
) -> None:
    """Send one message; a client that is gone does not mind."""
    data = kind + text
    ancillary = []
    if descriptors:
        numbers = array.array("i", descriptors)
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers))
    with suppress(OSError):
        connection.sendmsg([len(data).to_bytes(4, "big") + data], ancillary)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
