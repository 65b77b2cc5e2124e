"""Flows: work that waits, as generators, so that one thread can do several at once (ADR 13).

Runs in dom0. A flow yields what it waits for and is gone on with when any of all flows can go on,
so it looks again whether it can itself.
"""

import select
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from itertools import chain
from typing import TypeVar

Outcome = TypeVar("Outcome")

# What to wait for: descriptors to read and to write, seconds; it goes on with those that are ready.
Wait = tuple[list[int], list[int], float]
Flow = Generator[Wait, set[int] | None, Outcome]
_NEVER: Wait = ([], [], 0.0)
_LOOK = 0.1  # seconds until a flow asks again whether it is its turn
_waited = 0.0  # seconds


def now() -> float:
    """Answer seconds that go on only while all flows wait.

    Else the time in which one of them starts a qube were taken from what the others' calls have.
    """
    return _waited


def together(*flows: Flow[Outcome]) -> list[Outcome]:
    """Answer what each generator comes to, all in this one thread; each is closed at the end."""
    global _waited  # noqa: PLW0603
    values: dict[Flow[Outcome], Outcome] = {}
    able: set[int] | None = None
    with ExitStack() as stack:
        waits = {stack.enter_context(closing(flow)): _NEVER for flow in flows}
        while waits:
            for flow in [*waits]:
                waited = _waited
                try:
                    waits[flow] = flow.send(able)
                except StopIteration as end:
                    values[flow] = end.value
                    del waits[flow]
                _waited = waited  # what it has waited for within, by itself, is no time of all
            sources, sinks = (chain(*(wait[way] for wait in waits.values())) for way in (0, 1))
            left = min((wait[2] for wait in waits.values()), default=0.0)
            begun = time.monotonic()
            able = {*chain(*select.select(sources, sinks, [], left))}
            _waited += time.monotonic() - begun
    return [values[flow] for flow in flows]


def pausing(seconds: float) -> Flow[None]:
    """Let the others go on for so long."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield [], [], left


class Turn:
    """What only one flow at a time can have: wait until it is `coming`, and have it for a block."""

    _taken = False

    def coming(self) -> Flow[None]:
        """Wait until nobody has it; who has it must be a flow that goes on meanwhile."""
        while self._taken:
            yield [], [], _LOOK

    def __enter__(self) -> None:
        self._taken = True

    def __exit__(self, *_failed: object) -> None:
        self._taken = False
