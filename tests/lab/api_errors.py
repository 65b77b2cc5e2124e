"""How the lab's qubesd says no: by an exception that the caller sees, or by silence.

Runs in the supervisor; knows only names of exceptions, as `qubesadmin.exc` lists them.
"""

from __future__ import annotations


class ApiError(Exception):
    """An exception that goes to the caller: `kind` is its class, str() its message."""

    def __init__(self, kind: str, message: str) -> None:
        """Take the name of a class of `qubesadmin.exc` and one line of text."""
        super().__init__(message)
        self.kind = kind


class Refused(Exception):
    """The call gets the empty answer: not allowed, not known, or badly formed."""


def in_use(name: str, message: str = "") -> ApiError:
    """Return the error for a qube that something still needs."""
    return ApiError("QubesVMInUseError", message or f"{name} is still needed")


def not_started(name: str) -> ApiError:
    """Return the error for a qube that is off."""
    return ApiError("QubesVMNotStartedError", f"{name} is off")


def not_running(name: str) -> ApiError:
    """Return the error for a qube that is off or paused."""
    return ApiError(
        "QubesVMNotRunningError",
        f"{name} does not run: it is off or paused",
    )


def not_paused(name: str) -> ApiError:
    """Return the error for a qube that is not paused."""
    return ApiError("QubesVMNotPausedError", f"{name} is not paused")


def not_halted(name: str, message: str = "") -> ApiError:
    """Return the error for a qube that would have to be off."""
    return ApiError("QubesVMNotHaltedError", message or f"{name} would have to be off")
