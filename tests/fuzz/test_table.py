"""The table of `make fuzz`: a run is a row, and the one that is kept has every parser."""

import re
from pathlib import Path

import pytest

from fuzz import table
from fuzz.table import Row
from fuzz.targets import TARGETS

KEPT = (Path(__file__).resolve().parents[2] / "docs" / "verification.md").read_text("utf-8")
TOLD = """INFO: seed corpus: files: 2
#2\tINITED cov: 12 ft: 12 corp: 2/99b exec/s: 0 rss: 60Mb
#77\tNEW    cov: 24 ft: 31 corp: 12/800b lim: 99 exec/s: 0 rss: 60Mb L: 9/99 MS: 1 Custom-
"""


def test_a_run_becomes_a_row() -> None:
    row = table.row_of("reply", "3000 12.5 153\n", TOLD, kept=True)

    assert row == Row("reply", 3000, 12.5, 153, 12, 24, 0)
    assert str(row) == "| reply | 3,000 | 12 | 153 | 12 | 24 | 0 |"


@pytest.mark.parametrize("printed", ["", "Traceback\n", "3000 12.5\n", "3000 12.5 153\nmore\n"])
def test_a_driver_that_ended_early_is_a_finding(printed: str) -> None:
    assert table.row_of("reply", printed, "", kept=False) == Row("reply", 0, 0.0, 0, 0, 0, 1)


def test_the_table_says_when_and_how_it_was_made() -> None:
    text = table.rendered("2026-11-26", 7, "atheris 3", [Row("a", 1, 1, 1, 1, 1, 0)])

    assert text.startswith("2026-11-26, `make fuzz SEED=7`, atheris 3:\n\n| parser |")


def test_the_kept_table_is_whole_and_found_nothing() -> None:
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([0-9,]+) \| [0-9]+ \|.* \| ([0-9]+) \|$", KEPT, re.M)

    assert [name for name, _inputs, _findings in rows] == list(TARGETS)
    assert {(inputs, findings) for _name, inputs, findings in rows} == {("200,000", "0")}
    assert re.search(r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}, `make fuzz SEED=[0-9]+`, atheris", KEPT, re.M)
