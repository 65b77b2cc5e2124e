"""What was measured: a line for each result, and bench.json.

Runs on a developer's host.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Result

_MET = {True: "met", False: "MISSED", None: "no goal"}


def line(result: Result) -> str:
    """Answer one line of the table."""
    goal = "" if result.goal is None else f"{result.goal:.2f}"
    medians = ", ".join(f"{name} {value:.3f} s" for name, value in result.figures.items())
    return f"{result.ratio:8.3f} {goal:>6} {_MET[result.met]:8} {result.name}  ({medians})"


def write(path: Path, results: Sequence[Result]) -> None:
    """Write all results as JSON: a list of {name, ratio, goal, met, figures in seconds}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"name": each.name, "ratio": each.ratio, "goal": each.goal, "met": each.met,
         "figures": dict(each.figures)}
        for each in results
    ]  # fmt: skip
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
