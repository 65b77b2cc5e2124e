"""What an attempt of an attacker is: words for docs/threat-model.md beside what a test does.

A test's table holds rows of a subclass. The document is rendered from the same rows, so it can
claim nothing that is not tried.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """What is tried and how it must end, each half a sentence."""

    tried: str
    outcome: str


def named(tried: str, outcome: str, names: Iterable[str]) -> dict[str, Attempt]:
    """Answer the rows of a table whose names say what is tried, all with one outcome."""
    return {name: Attempt(f"{tried}: {name.replace('-', ' ')}", outcome) for name in names}


def coded(tried: str, codes: Iterable[tuple[str, int]]) -> dict[str, Attempt]:
    """Answer the same where each has an exit code of its own, with dom0's own words."""
    return {
        name: Attempt(f"{tried}: {name.replace('-', ' ')}", f"exit code {code}, dom0's own words")
        for name, code in codes
    }
