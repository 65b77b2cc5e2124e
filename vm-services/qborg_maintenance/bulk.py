"""Many directories listed, and many files read, by a few calls to the server, until time is up.

Runs in the maintenance qube. What is not in an answer was not shown, or there was no time for it.
The lists and the bytes are the server's word; whose bytes they are, its lists tell.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from qborg_maintenance.files import BLOCK, Files
from qborg_service.failure import ServiceFailure

_BYTES, _LINE = 200_000, 100  # of one answer, and of one name in a list: over sftp with its path
# Of `ls -ln`, as a server's own and sftp's write it: file or directory, size, date, name.
_LISTED = re.compile(
    rb"^([-d])\S* +(?:\S+ +){3}([0-9]{1,15}) +(?:\S+ +){3}(?:\S*/)?([A-Za-z0-9.]+)$", re.MULTILINE)
Answer = TypeVar("Answer")
Asking = Callable[[Sequence[str]], dict[str, Answer] | None]


@dataclass(frozen=True)
class Listing:
    """What lies in a directory: the bytes of each file, and the directories."""

    sizes: Mapping[str, int]
    folders: Sequence[str]


@dataclass(frozen=True)
class Bulk:
    """The account's files, many at a time; `end`: when no more is asked, by time.monotonic."""

    files: Files
    end: float

    @property
    def is_over(self) -> bool:
        """Tell whether there is no time for another call."""
        return time.monotonic() >= self.end

    def listings(self, names: Mapping[str, int]) -> dict[str, Listing]:
        """Answer what lies in directories, of each of which about how many names are expected."""
        costs = {path: count * _LINE for path, count in names.items()}
        return self._asked(costs, self._listed)

    def contents(
        self, sizes: Mapping[str, int], most: int, *, last: bool = False
    ) -> dict[str, bytes]:
        """Answer the bytes of files of these sizes; of one longer than `most` only so many, or its
        `last`, and a part of a BLOCK more. One that is no longer as it was listed is as it is.
        """
        small = {path: size for path, size in sizes.items() if size <= most}
        found = self._asked(small, partial(self._joined, sizes))
        for path, size in sizes.items():
            if path not in small and not self.is_over:
                count = most // BLOCK
                skip = size // BLOCK - count if last else 0
                found[path] = self.files.part(path, skip, count + last)
        return found

    def _asked(self, costs: Mapping[str, int], ask: Asking[Answer]) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for group in grouped(costs, _BYTES, self.files.AT_ONCE):
            found |= self._of_group(group, ask)
        return found

    def _of_group(self, group: Sequence[str], ask: Asking[Answer]) -> dict[str, Answer]:
        """Ask for all at once; for each half if that tells nothing: one may spoil it for all."""
        if self.is_over:
            return {}
        found = ask(group)
        if found is None and len(group) > 1:
            half = len(group) // 2
            return self._of_group(group[:half], ask) | self._of_group(group[half:], ask)
        return found or {}

    def _listed(self, paths: Sequence[str]) -> dict[str, Listing] | None:
        listed = _bounded(lambda: self.files.listed(paths))
        return listed and {path: _parse(untrusted) for path, untrusted in listed.items()}

    def _joined(self, sizes: Mapping[str, int], paths: Sequence[str]) -> dict[str, bytes] | None:
        untrusted = _bounded(lambda: self.files.joined(paths))
        if untrusted is None or len(paths) == 1:
            return None if untrusted is None else {paths[0]: untrusted}
        # One that changed since it was listed changes the length of all.
        found, at = {}, 0
        for path in paths:
            found[path] = untrusted[at : at + sizes[path]]
            at += sizes[path]
        return found if at == len(untrusted) else None


def grouped(costs: Mapping[str, int], most: int, count: int) -> Iterator[list[str]]:
    """Answer all of them in their order, in groups of so many that cost so much at most.

    What costs more than that alone is alone.
    """
    group: list[str] = []
    held = 0
    for each, cost in costs.items():
        if group and (held + cost > most or len(group) == count):
            yield group
            group, held = [], 0
        group.append(each)
        held += cost
    if group:
        yield group


def _bounded(ask: Callable[[], Answer]) -> Answer | None:
    """Answer what is asked, None if the server sends more than we read."""
    try:
        return ask()
    except ServiceFailure as failure:
        if failure.cause != "publish-refused":
            raise
        return None


def _parse(untrusted: bytes) -> Listing:
    lines = [(kind, int(size), name.decode("ascii"))
             for kind, size, name in _LISTED.findall(untrusted)]
    return Listing({name: size for kind, size, name in lines if kind == b"-"},
                   sorted(name for kind, _size, name in lines if kind == b"d"))
