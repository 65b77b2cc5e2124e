"""What an attempt of an attacker is: words for docs/threat-model.md beside what a test does.

A test's table holds rows of a subclass. The document is rendered from the same rows, so it can
claim nothing that is not tried.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """What is tried and how it must end, each half a sentence."""

    tried: str
    outcome: str
