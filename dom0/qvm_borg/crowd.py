"""Several qubes: what fails for one is told and does not stop the others.

Runs in dom0, in one thread (ADR 13): the objects of qubesadmin are not made for several, nor is a
terminal. Starting and stopping qubes goes one after the other, and what takes hours side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from qvm_borg.errors import PartialFailure, QvmBorgError
from qvm_borg.remote import Flow, together
from qvm_borg.report import Report

_T = TypeVar("_T")
_R = TypeVar("_R")


class Crowd:
    """Several qubes, for a block; `undone`: what those that failed are not, such as `enrolled`."""

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
                self._fail(item, error)
        return results

    def together(self, items: Sequence[_T], work: Callable[[_T], Flow[None]], jobs: int) -> None:
        """Have the work done on all of them, on so many at once."""
        waiting = iter(items)
        together(*(self._one_by_one(waiting, work) for _job in range(jobs)))

    def _one_by_one(self, items: Iterator[_T], work: Callable[[_T], Flow[None]]) -> Flow[None]:
        for item in items:
            try:
                yield from work(item)
            except QvmBorgError as error:
                self._fail(item, error)

    def _fail(self, item: object, error: QvmBorgError) -> None:
        if self._total == 1:
            raise error
        self._report.error(error)
        self._failed.append(str(item))

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, failed: object, *_where: object) -> None:
        """Raise PartialFailure at the end if any has failed."""
        if self._failed and failed is None:
            raise PartialFailure(f"{len(self._failed)} of {self._total} qubes were not "
                                 f"{self._undone}: " + " ".join(self._failed))
