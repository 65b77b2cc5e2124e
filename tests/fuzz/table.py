"""The table that `make fuzz` ends with, as lines of Markdown.

Runs on a developer's host. Pure: what a run of a parser was comes in as numbers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HEAD = "| parser | inputs | seconds | outcomes | corpus | coverage | findings |"
_RULE = "|---|---:|---:|---:|---:|---:|---:|"
# What libFuzzer says whenever an input reached something new.
_STATUS = re.compile(r"^#\d+\s.*\bcov: (\d+) .*\bcorp: (\d+)/", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One parser: distinct outcomes, inputs kept for reaching something new, edges reached."""

    parser: str
    inputs: int
    seconds: float
    outcomes: int
    corpus: int
    coverage: int
    findings: int

    def __str__(self) -> str:
        return (f"| {self.parser} | {self.inputs:,} | {self.seconds:.0f} | {self.outcomes} "
                f"| {self.corpus} | {self.coverage} | {self.findings} |")  # fmt: skip


def row_of(parser: str, printed: str, told: str, *, kept: bool) -> Row:
    """Answer a parser's row from its driver's line and what libFuzzer told beside it.

    A driver that libFuzzer ended prints no line: zeros, and a finding.
    """
    numbers = re.fullmatch(r"(\d+) (\d+\.\d) (\d+)\n", printed)
    inputs, seconds, outcomes = numbers.groups() if numbers else ("0", "0", "0")
    coverage, corpus = (_STATUS.findall(told) or [("0", "0")])[-1]
    return Row(parser, int(inputs), float(seconds), int(outcomes), int(corpus), int(coverage),
               0 if kept else 1)  # fmt: skip


def rendered(day: str, seed: int, versions: str, rows: Sequence[Row]) -> str:
    """Answer the whole table below one line that says when and how it was made."""
    lines = [f"{day}, `make fuzz SEED={seed}`, {versions}:", "", _HEAD, _RULE, *map(str, rows)]
    return "\n".join(lines) + "\n"
