"""What borg printed about the archive, wherever borgmatic's own words stand; why there is none."""

import json
import sys
from pathlib import Path

import pytest

from qborg_borg import command
from qborg_borg.bundle import match_bundle
from qborg_borg.outcome import Outcome
from qborg_client import backup, identity, installed, state
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from unit.borg.bundles import record

STATS = {"nfiles": 7, "original_size": 900, "deduplicated_size": 80, "compressed_size": 500}
GOOD = json.dumps({"archive": {"name": "work-2026-01-02T03:04:05", "stats": STATS}}, indent=4)


def result(stdout: str) -> backup.Backup:
    """Answer what a run with two warnings and this output made."""
    outcome = Outcome(0, None, (), stdout.encode("utf-8", "surrogateescape"), warnings=2)
    return backup.read_result(outcome, 1, "f" * 64)


AROUND = {"alone": GOOD, "before": f"main: Creating\n{GOOD}\n", "after": f"{GOOD}\nmain: done"}


@pytest.mark.parametrize("stdout", AROUND.values(), ids=AROUND)
def test_the_archive_is_found(stdout: str) -> None:
    assert result(stdout) == backup.Backup("work-2026-01-02T03:04:05", 7, 900, 80, 3, "f" * 64)


NOTHING = {
    "empty": "",
    "words": "Creating archive\n",
    "list": "[1]\n",
    "no-archive": "{}",
    "archive-is-a-list": '{"archive": []}',
    "no-stats": '{"archive": {"name": "a"}}',
    "stats-are-a-text": '{"archive": {"name": "a", "stats": "nfiles"}}',
    "strange-name": GOOD.replace("work-", "\\u001b[31m"),
    "no-number": GOOD.replace("900", '"many"'),
    "null": GOOD.replace("900", "null"),
    "cut": GOOD[:-9],
    "deep": '{"archive":' + "[" * 100_000,
}


@pytest.mark.parametrize("stdout", NOTHING.values(), ids=NOTHING)
def test_a_success_without_an_archive_is_a_failure(stdout: str) -> None:
    with pytest.raises(ServiceFailure) as failed:
        result(stdout)

    assert failed.value.cause == "borg-failed"


FAILS = {
    "it-does-not-run": ("import of_no_template", "", "borgmatic-missing"),
    "borg-does-not-run": ("", "exit 1", "borg-missing"),
    "it-fails": ("", "echo borg 1.4.0", "borg-failed"),
}


@pytest.mark.parametrize(("imports", "borg", "cause"), FAILS.values(), ids=FAILS)
def test_why_an_unknown_failure_came_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imports: str, borg: str, cause: str
) -> None:
    version = "import sys\nif '--version' in sys.argv: print('2.1.10'); sys.exit()\nsys.exit(1)"
    programs = {"borg": f"#!/bin/sh\n{borg or 'echo borg 1.4.0'}\n",
                "borgmatic": f"#!{sys.executable}\n{imports}\n{version}\n"}  # fmt: skip
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "modules/borgmatic").mkdir(parents=True)
    (tmp_path / "modules/borgmatic-2.1.10.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setattr(identity, "require_own", lambda _paths, _bundle: None)
    monkeypatch.setattr(command, "BORG", str(tmp_path / "borg"))
    monkeypatch.setattr(installed, "BORGMATIC", str(tmp_path / "borgmatic"))
    paths = Paths(tmp_path)

    with pytest.raises(ServiceFailure) as failed:
        backup.run(paths, match_bundle(record(), "work"), lambda _files, _size: None)

    assert failed.value.cause == state.read_last(paths).outcome == cause
