"""Ask the person at this qube for a password: in a window, at a terminal, through a descriptor.

Runs in the maintenance qube. What is typed is a Secret from the first moment on; dom0 never asks.
"""

import getpass
import os

from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

LIMIT = 1024  # bytes of one password
_ZENITY = "/usr/bin/zenity"
_PATIENCE = 280.0  # seconds
# Of the session that the service runs in; all else that zenity needs has defaults.
_SESSION = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "HOME")


def window(title: str, timeout: float = _PATIENCE) -> Secret | None:
    """Ask in a window; None without a display, without zenity, or if the person closes it."""
    session = {name: os.environ[name] for name in _SESSION if name in os.environ}
    if not {"DISPLAY", "WAYLAND_DISPLAY"} & session.keys():
        return None
    argv = [_ZENITY, "--password", f"--title={title}"]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **session}
    try:
        finished = process.run(argv, stdin=None, env=environment, timeout=timeout, limit=LIMIT)
    except process.ProcessError:
        return None
    return _typed(finished.stdout) if finished.code == 0 else None


def terminal(question: str) -> Secret:
    """Ask at the controlling terminal, without an echo; raises password-awaited without one."""
    try:
        return _typed(getpass.getpass(question, stream=None).encode("utf-8", "surrogateescape"))
    except (EOFError, OSError) as error:
        raise ServiceFailure("password-awaited", "there is no terminal to type it at") from error


def descriptor(number: int) -> Secret:
    """Read the first line of an inherited descriptor; raises password-awaited if there is none."""
    try:
        with open(number, "rb", closefd=False) as stream:
            return _typed(stream.readline(LIMIT + 1))
    except OSError as error:
        raise ServiceFailure("password-awaited", "that descriptor cannot be read") from error


def _typed(line: bytes) -> Secret:
    password = line.removesuffix(b"\n")
    # More than one line would be an answer to a question that was not asked yet.
    if not password or len(password) > LIMIT or any(byte in password for byte in b"\r\n\0"):
        raise ServiceFailure("password-awaited", "nothing was typed, or more than one line")
    return Secret(password)
