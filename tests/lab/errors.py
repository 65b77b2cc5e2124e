"""Errors that cross the lab's modules. Runs anywhere; knows nothing."""

from __future__ import annotations


class MachineError(Exception):
    """A machine cannot do what was asked: not running, did not boot, no such storage."""


class LabError(Exception):
    """Something a person can mend; shown as one `error:` and one `hint:` line."""

    def __init__(self, message: str, hint: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status
