"""The lab of the scenarios, and the table of kills at the end of a run."""

import time
from pathlib import Path

import pytest

from kill import table
from scenarios import kills
from scenarios.conftest import escrowed, kept, vaulted, world

__all__ = ["escrowed", "kept", "vaulted", "world"]

TABLE = Path(__file__).parents[2] / "build" / "kill.md"
_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep how each row ended; a row whose start fails has failed."""
    row = report.nodeid.partition("[")[2].removesuffix("]")
    if row and (report.when == "call" or report.failed):
        _outcomes[row] = table.outcome(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table and write it to build/kill.md."""
    rows = kills.rows(kills.written_down())
    text = table.rendered(time.strftime("%Y-%m-%d"), rows, _outcomes)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(text, encoding="ascii")
    terminalreporter.section(f"every kill, also in {TABLE}")
    terminalreporter.write(text)
