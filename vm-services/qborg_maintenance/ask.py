"""Ask the person at this qube for a password in a window, where a service needs one.

Runs in the maintenance qube. What is typed is a Secret from the first moment on; dom0 never asks.
"""

import os
from collections.abc import Callable

from qborg_service import process, typed
from qborg_service.secret import Secret

_ZENITY = "/usr/bin/zenity"
# Of the session that the service runs in; all else that zenity needs has defaults.
_SESSION = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "HOME")


def window(
    title: str, timeout: float, ends: Callable[[], bool] | None = None
) -> Secret | None:
    """Ask in a window; None without a display, without zenity, or if the person closes it.

    It closes by itself after `timeout` seconds, and once it `ends`.
    """
    session = {name: os.environ[name] for name in _SESSION if name in os.environ}
    if not {"DISPLAY", "WAYLAND_DISPLAY"} & session.keys():
        return None
    argv = [_ZENITY, "--password", f"--title={title}"]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **session}
    try:
        finished = process.run(
            argv, stdin=None, env=environment, timeout=timeout, limit=typed.LIMIT, ends=ends)
    except process.ProcessError:
        return None
    return typed.one_line(finished.stdout) if finished.code == 0 else None
