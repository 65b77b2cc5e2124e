"""Is it cron: by the kernel's word, not by a name that anyone can take."""

from pathlib import Path

import pytest

from qborg_client import cron

LINES = {
    "sleeping": ("223 (cron) S 1 223", True),
    "running": ("223 (cron) R 1 223", True),
    "zombie": ("223 (cron) Z 1 223", False),
    "dead": ("223 (cron) X 1 223", False),
    "other": ("223 (crond) S 1 223", False),
    "longer": ("223 (cron.daily) S 1 223", False),
    "parenthesis-in-the-name": ("223 (cron) S (x) S 1", False),
    "empty": ("", False),
    "cut": ("223 (cron)", False),
}


@pytest.mark.parametrize(("line", "alive"), LINES.values(), ids=LINES)
def test_a_process_is_known_by_its_whole_name_and_state(line: str, alive: bool) -> None:
    assert cron.is_alive(line, "cron") is alive


def test_without_processes_it_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "17").mkdir()

    assert cron.state(tmp_path) in (cron.STOPPED, cron.MISSING)
