"""The lab of the scenarios, and the table of kills at the end of a run."""

import time
from collections import defaultdict
from pathlib import Path

import pytest

from scenarios import kills
from scenarios.conftest import escrowed, kept, vaulted, world
from scenarios.kills import Row

__all__ = ["escrowed", "kept", "vaulted", "world"]

TABLE = Path(__file__).parents[2] / "build" / "kill.md"
_HEAD = "| run | call | victim | before | amid | after |\n|---|---|---|---|---|---|\n"
_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep how each row ended; a row whose start fails has failed."""
    row = report.nodeid.partition("[")[2].removesuffix("]")
    if row and (report.when == "call" or report.failed):
        _outcomes[row] = "**no**" if report.failed else "yes"


def table(rows: list[Row]) -> str:
    """Answer a line for each call and victim: whether one more run reached the same end."""
    lines: defaultdict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for row in rows:
        call = f"{row.call.step} {row.call.target} {row.call.name}"
        lines[row.call.run, call, row.victim][row.moment] = _outcomes.get(str(row), "not run")
    return _HEAD + "".join(
        f"| {run} | {call} | {victim} | " + " | ".join(
            moments.get(moment, "") for moment in ("before", "amid", "after")) + " |\n"
        for (run, call, victim), moments in lines.items()
    )  # fmt: skip


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table and write it to build/kill.md."""
    rows = kills.rows(kills.written_down())
    ended = [_outcomes.get(str(row)) for row in rows]
    text = (f"{time.strftime('%Y-%m-%d')}: {len(rows)} kills, {ended.count('yes')} converged, "
            f"{ended.count('**no**')} did not, {ended.count(None)} not run.\n\n{table(rows)}")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(text, encoding="ascii")
    terminalreporter.section(f"every kill, also in {TABLE}")
    terminalreporter.write(text)
