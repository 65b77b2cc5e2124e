"""Several qubes at once: what fails for one is told and does not stop the others.

Runs in dom0.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from qvm_borg.errors import PartialFailure, QvmBorgError
from qvm_borg.report import Report

_T = TypeVar("_T")
_R = TypeVar("_R")


class Crowd:
    """Several qubes; `undone` says of those that failed what they are not, such as `enrolled`."""

    def __init__(self, report: Report, total: int, undone: str) -> None:
        self._report, self._total, self._undone = report, total, undone
        self._failed: list[str] = []

    def each(self, items: Sequence[_T], work: Callable[[_T], _R]) -> list[_R]:
        """Answer what the work made of each item, those that failed left out."""
        results = []
        for item in items:
            try:
                results.append(work(item))
            except QvmBorgError as error:
                if self._total == 1:
                    raise
                self._report.error(error)
                self._failed.append(str(item))
        return results

    def finish(self) -> None:
        """Raise PartialFailure if any has failed."""
        if self._failed:
            raise PartialFailure(f"{len(self._failed)} of {self._total} qubes were not "
                                 f"{self._undone}: " + " ".join(self._failed))
