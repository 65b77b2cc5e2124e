"""The bytes of the Admin API: how a request is cut up and an answer is put together.

Runs in the supervisor, under `qubesd`; knows no method.
"""

from __future__ import annotations

import socket

from lab.api_errors import ApiError

REQUEST_LIMIT = 65536
SUCCESS, FAILURE = b"0\0", b"2\0"


def split_request(untrusted_request: bytes) -> tuple[str, str, str, str, bytes]:
    """Return method, argument, source, destination and payload; raise ValueError."""
    header, payload = untrusted_request.split(b"\0", 1)
    call, source, kind, target = (part.decode("ascii") for part in header.split(b" ", 3))
    if (kind, target) == ("keyword", "adminvm"):
        kind, target = "name", "dom0"
    if kind != "name":
        raise ValueError(f"destination of type {kind!r}")
    method, _, argument = call.partition("+")
    return method, argument, source, target, payload


def read_request(connection: socket.socket) -> bytes | None:
    """Read to the end of the request; None when it is too long."""
    data = b""
    while chunk := connection.recv(REQUEST_LIMIT):
        data += chunk
        if len(data) > REQUEST_LIMIT:
            return None
    return data


def exception(error: ApiError) -> bytes:
    """Write an error as the client reads it: type, no traceback, message."""
    return FAILURE + error.kind.encode() + b"\0\0" + str(error).encode() + b"\0"
