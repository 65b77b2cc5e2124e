"""The units that tell the desktop: which words for which exit code, and nothing of a qube's."""

import configparser
import shlex
import subprocess
from pathlib import Path

import pytest

from qvm_borg import errors

UNITS = Path(__file__).parents[3] / "dom0/systemd"
TELLER = "/usr/bin/notify-send"


def _unit(name: str) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNITS / f"qubes-borg-{name}.service", encoding="ascii")
    return parser["Service"]


_NEEDED, _NOBODY = "Backups need you", "Nobody looks after"
_CHANGED = "A repository may have another key"
_UNCOMPARED = "The key of a repository was not compared"
CODES = [
    ("status", "0", ""), ("status", str(errors.InTrouble.exit_code), _NEEDED),
    ("status", "2", _NOBODY), ("status", "3", _NOBODY), ("status", "TERM", _NOBODY),
    ("status", "$(id)", _NOBODY),
    ("check", "0", ""), ("check", str(errors.ProofFailed.exit_code), _CHANGED),
    ("check", str(errors.PartialFailure.exit_code), _CHANGED),
    ("check", str(errors.NotEnrolled.exit_code), ""), ("check", "TERM", ""),
    ("check", str(errors.AdminKeyLocked.exit_code), _UNCOMPARED), ("check", "2", _UNCOMPARED),
    ("check", str(errors.LockedError.exit_code), ""),
    ("check", str(errors.ServerUnreachable.exit_code), ""), ("check", "$(id)", _UNCOMPARED),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "code", "says"), CODES)
def test_the_desktop_is_told_in_fixed_words(
    tmp_path: Path, unit: str, code: str, says: str
) -> None:
    shell, option, script = shlex.split(_unit(unit)["ExecStopPost"].replace("$$", "$"))
    (tmp_path / "notify-send").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="ascii")
    (tmp_path / "notify-send").chmod(0o755)
    told = subprocess.run(
        [shell, option, script.replace(TELLER, str(tmp_path / "notify-send"))],
        env={"EXIT_STATUS": code}, capture_output=True, check=True, text=True, timeout=60).stdout

    assert script.count(TELLER) == 2
    assert told == "" if not says else told.splitlines()[4].startswith(says)


def test_somebody_needed_is_no_failure_of_the_unit() -> None:
    assert _unit("status")["ExecStart"] == "/usr/bin/qvm-borg-status --quiet"
    assert int(_unit("status")["SuccessExitStatus"]) == errors.InTrouble.exit_code


def test_who_waits_or_is_away_is_no_failure_of_a_look_at_the_keys() -> None:
    away = errors.LockedError.exit_code, errors.ServerUnreachable.exit_code
    assert tuple(map(int, _unit("check")["SuccessExitStatus"].split())) == away
