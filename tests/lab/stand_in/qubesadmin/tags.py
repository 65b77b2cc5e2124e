"""Tags of a qube: a set of words. Runs in dom0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qubesadmin.vm import QubesVM


class Tags:
    """The tags of one qube, asked for when they are needed."""

    def __init__(self, vm: QubesVM) -> None:
        """Take the qube."""
        self.vm = vm

    def _call(self, call: str, tag: str | None = None) -> bytes:
        return self.vm.qubesd_call(self.vm.name, "admin.vm.tag." + call, tag)

    def add(self, elem: str) -> None:
        """Add a tag."""
        self._call("Set", elem)

    def remove(self, elem: str) -> None:
        """Remove a tag; raise QubesTagNotFoundError."""
        self._call("Remove", elem)

    def update(self, *others: Iterable[str]) -> None:
        """Add many tags."""
        for other in others:
            for elem in other:
                self.add(elem)

    def discard(self, elem: str) -> None:
        """Remove a tag if it is there."""
        try:
            self.remove(elem)
        except KeyError:
            return

    def __iter__(self) -> Iterator[str]:
        """Iterate over the tags."""
        return iter(self._call("List").decode("utf-8").splitlines())

    def __contains__(self, elem: str) -> bool:
        """Tell whether the qube has a tag."""
        return self._call("Get", elem) == b"1"
