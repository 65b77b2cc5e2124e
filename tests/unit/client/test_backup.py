"""What borg printed about the archive, wherever borgmatic's own words stand."""

import json

import pytest

from qborg_borg.outcome import Outcome
from qborg_client import backup
from qborg_service.failure import ServiceFailure

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
