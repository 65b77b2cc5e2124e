"""The benchmark itself: that every row runs and is written down. Of speed it asserts nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import report
from bench.measure import Result, in_turns
from bench.rows import ROWS

BENCH = Path(__file__).parent
SMALL = ("--files", "200", "--bytes", "2000000", "--repeats", "1", "--crowd", "10")
WRONG = {
    "row": (["--rows", "nothing"], "there are nothing-new"),
    "number": (["--files", "0"], "at least 1"),
    "no-number": (["--repeats", "many"], "invalid"),
    "shortened": (["--file", "1"], "unrecognized"),
}


def _runs(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, BENCH, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=3600)


def test_every_row_runs_and_is_written_down(tmp_path: Path) -> None:
    output = tmp_path / "build" / "bench.json"

    done = _runs(*SMALL, "--output", str(output))

    assert done.stderr == ""
    found = json.loads(output.read_text())
    assert done.returncode == (1 if any(each["met"] is False for each in found) else 0)
    names = [each["name"] for each in found]
    assert len(set(names)) == len(names) == done.stdout.count(" s)\n")
    for each in found:
        assert list(each) == ["name", "ratio", "goal", "met", "figures"]
        assert each["met"] is (None if each["goal"] is None else each["ratio"] <= each["goal"])
        assert all(value > 0 for value in each["figures"].values())
    wanted = ("scheduled run, nothing new", "scheduled run, all is new", "borgbak list",
              "restore of one file", "restore of all files", "first backup", "second backup",
              "qvm-borg-status --help", "status of 10", "backup --all of 5",
              "enrolment", "each of 2")  # fmt: skip
    assert not [start for start in wanted if not any(name.startswith(start) for name in names)]


@pytest.mark.parametrize(("options", "says"), WRONG.values(), ids=WRONG)
def test_what_it_does_not_know_is_a_usage_error(options: list[str], says: str) -> None:
    done = _runs(*options)

    assert done.returncode == 2 and says in done.stderr


def test_ways_take_turns_and_only_they_are_measured() -> None:
    seen: list[str] = []
    ways = {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}

    figures = in_turns(ways, 2, before=lambda: seen.append("-"))

    assert "".join(seen) == "-a-b-b-a-a-b"
    assert set(figures) == {"a", "b"}


def test_a_missed_goal_is_told_as_missed() -> None:
    assert "MISSED" in report.line(Result("x", 1.06, 1.05, {"x": 1.0}))
    assert " met " in report.line(Result("x", 1.05, 1.05, {"x": 1.0}))
    assert "no goal" in report.line(Result("x", 9.0, None, {"x": 1.0}))
    assert len(ROWS) == 9
