"""Two or more ways to do one thing, measured in turns: what is compared saw the same machine.

Runs on a developer's host. Knows neither the lab nor the product.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Way = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """One line of the table: a ratio of medians, at most the goal; without one it only tells.

    `figures` are the medians in seconds, or what else the ratio was made of.
    """

    name: str
    ratio: float
    goal: float | None
    figures: Mapping[str, float]

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached, None if there is none."""
        return None if self.goal is None else self.ratio <= self.goal


def seconds(way: Way) -> float:
    """Answer how long one way takes."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def in_turns(
    ways: Mapping[str, Way], repeats: int, *, warm: bool = True, before: Way = lambda: None
) -> dict[str, float]:
    """Answer the median seconds of each way, all of them once in each round.

    Every other round goes backwards, so that none is always behind the same one. `before` runs
    before each and is not measured; `warm` adds a first round that does not count, unless there is
    only one.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for count in range(-(warm and repeats > 1), repeats):
        for name in list(ways)[:: 1 if count % 2 else -1]:
            before()
            took = seconds(ways[name])
            if count >= 0:
                taken[name].append(took)
    return {name: statistics.median(values) for name, values in taken.items()}
