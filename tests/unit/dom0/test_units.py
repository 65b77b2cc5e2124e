"""The unit that tells the desktop: which words for which exit code, and nothing of a qube's."""

import configparser
import shlex
import subprocess
from pathlib import Path

import pytest

from qvm_borg import errors

UNIT = Path(__file__).parents[3] / "dom0/systemd/qubes-borg-status.service"
TELLER = "/usr/bin/notify-send"


def _unit() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT, encoding="ascii")
    return parser["Service"]


CODES = {
    "0": "", str(errors.InTrouble.exit_code): "Backups need you", "3": "Nobody looks after",
    "2": "Nobody looks after", "TERM": "Nobody looks after", "$(id)": "Nobody looks after",
}  # fmt: skip


@pytest.mark.parametrize(("code", "says"), CODES.items(), ids=CODES)
def test_the_desktop_is_told_in_fixed_words(tmp_path: Path, code: str, says: str) -> None:
    shell, option, script = shlex.split(_unit()["ExecStopPost"].replace("$$", "$"))
    (tmp_path / "notify-send").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="ascii")
    (tmp_path / "notify-send").chmod(0o755)
    told = subprocess.run(
        [shell, option, script.replace(TELLER, str(tmp_path / "notify-send"))],
        env={"EXIT_STATUS": code}, capture_output=True, check=True, text=True, timeout=60).stdout

    assert script.count(TELLER) == 2
    assert told == "" if not says else told.splitlines()[4].startswith(says)


def test_somebody_needed_is_no_failure_of_the_unit() -> None:
    assert _unit()["ExecStart"] == "/usr/bin/qvm-borg-status --quiet"
    assert int(_unit()["SuccessExitStatus"]) == errors.InTrouble.exit_code
