"""Messages between the lab's own processes: one JSON object and some descriptors per packet.

Runs on the host and inside machines; SOCK_SEQPACKET sockets only. Knows no request by name.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from typing import Any, Sequence

MAX_MESSAGE = 192 * 1024
MAX_DESCRIPTORS = 8
MSG_CMSG_CLOEXEC = 0x40000000
_CREDENTIALS = struct.Struct("3i")

Message = dict[str, Any]


class Closed(Exception):
    """The other end of a control socket is gone."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected SOCK_SEQPACKET sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send MESSAGE with DESCRIPTORS; Closed when nobody reads, ValueError when too long."""
    data = json.dumps(message).encode()
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"message of {len(data)} bytes (limit {MAX_MESSAGE})")
    ancillary = []
    if descriptors:
        packed = array.array("i", descriptors)
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, packed.tobytes()))
    try:
        sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError) as error:
        raise Closed from error


def send_with_pid(sock: socket.socket, message: Message, pid: int) -> None:
    """Send MESSAGE with PID as credentials, which the kernel translates for the reader."""
    credentials = _CREDENTIALS.pack(pid, os.getuid(), os.getgid())
    ancillary = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
    try:
        sock.sendmsg([json.dumps(message).encode()], ancillary, socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Closed from error


def receive(sock: socket.socket) -> tuple[Message, list[int]]:
    """Return the next message and its descriptors (close-on-exec); Closed at the end.

    Credentials, where the socket asks for them (SO_PASSCRED), are put under "sender_pid".
    """
    # Without close-on-exec a daemon started by somebody else keeps the caller's stdout open.
    space = socket.CMSG_SPACE(4 * MAX_DESCRIPTORS) + socket.CMSG_SPACE(_CREDENTIALS.size)
    try:
        data, ancillary, _, _ = sock.recvmsg(MAX_MESSAGE + 1, space, MSG_CMSG_CLOEXEC)
    except ConnectionResetError as error:
        raise Closed from error
    descriptors = array.array("i")
    sender = None
    for level, kind, body in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(body[: len(body) - len(body) % descriptors.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack(body[: _CREDENTIALS.size])[0]
    if not data:
        close_all(descriptors)
        raise Closed
    message = json.loads(data)
    if not isinstance(message, dict):
        close_all(descriptors)
        raise ValueError("a message is a JSON object")
    if sender is not None:
        message["sender_pid"] = sender
    return message, list(descriptors)


def close_all(descriptors: Sequence[int]) -> None:
    """Close every descriptor of a message that is not used."""
    for descriptor in descriptors:
        os.close(descriptor)
