"""Several qubes: what fails for one is told and does not stop the others.

Runs in dom0, in one thread (ADR 13): the objects of qubesadmin are not made for several, nor is a
terminal. Starting and stopping qubes goes one after the other, and what takes hours side by side.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from qvm_borg.errors import PartialFailure, QvmBorgError
from qvm_borg.flow import Flow, together
from qvm_borg.report import Report

_T = TypeVar("_T")
_R = TypeVar("_R")


class Crowd(AbstractContextManager["Crowd"]):
    """Several qubes, for a block; `undone`: what those that failed are not, such as `enrolled`."""

    def __init__(self, report: Report, total: int, undone: str) -> None:
        self._report, self._total, self._undone = report, total, undone
        self._failed: list[str] = []

    def each(self, items: Sequence[_T], work: Callable[[_T], _R]) -> list[_R]:
        """Answer what the work made of each item, those that failed left out."""
        def at_once(item: _T) -> Flow[_R]:
            yield from ()
            return work(item)

        return self.together(items, at_once, 1)

    def together(self, items: Sequence[_T], work: Callable[[_T], Flow[_R]], jobs: int) -> list[_R]:
        """Answer the same of work that waits, done on so many at once."""
        waiting, results = iter(enumerate(items)), dict[int, _R]()

        def one_by_one() -> Flow[None]:
            for place, item in waiting:
                try:
                    results[place] = yield from work(item)
                except QvmBorgError as error:
                    self._fail(item, error)

        together(*(one_by_one() for _job in range(jobs)))
        return [results[place] for place in sorted(results)]

    def _fail(self, item: object, error: QvmBorgError) -> None:
        """Tell it, unless it is all that went wrong; raises that, or what had ended all of them."""
        end: BaseException | None = error
        while isinstance(end, Exception):
            end = end.__context__
        if self._total == 1 and end is None:
            raise error
        self._report.error(error, str(item))
        self._failed.append(str(item))
        if end is not None:  # the error came up while this one was put back
            raise end

    def __exit__(self, failed: object, *_where: object) -> None:
        """Raise PartialFailure at the end if any has failed."""
        if self._failed and failed is None:
            raise PartialFailure(f"{len(self._failed)} of {self._total} qubes were not "
                                 f"{self._undone}: " + " ".join(self._failed))
