"""Small things that the stand-in daemons share: their sockets' threads, peers, and logs.

Runs in the supervisor; knows no protocol.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")


def serve(listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Run `handle` for every connection in a thread of its own, until the socket is closed.

    The connection is closed after it; a caller that hangs up is not an error.
    """

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            handle(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=run, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def peer_pid(connection: socket.socket) -> int:
    """Return the process at the other end as seen from here, 0 when it is not known."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[0])


class Log:
    """A file that gets one line for each event. Opened for each: nothing to close or to lose."""

    def __init__(self, path: Path) -> None:
        """Make the directory; the file appears with the first line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path

    def write(self, text: str) -> None:
        """Append one line with the time; what could end the line is shown escaped."""
        line = f"{time.strftime('%H:%M:%S')} {printable(text)}\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)


def printable(untrusted_text: str) -> str:
    """Return the text with control characters and newlines escaped."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1]
        for character in untrusted_text
    )
