"""What a client remembers: due or not, one run at a time, and lies in its own files."""

from pathlib import Path

import pytest

from qborg_client import state
from qborg_client.paths import Paths
from qborg_client.state import Last
from qborg_service.failure import ServiceFailure

NOW = 1_800_000_000
HOUR = 3600
DUE = {
    "never": (0, True),
    "just-now": (NOW, False),
    "yesterday": (NOW - 24 * HOUR, True),
    "nearly-a-day": (NOW - 24 * HOUR + 60, True),
    "half-a-day": (NOW - 12 * HOUR, False),
    "in-the-future": (NOW + 1, True),
}


@pytest.mark.parametrize(("success", "due"), DUE.values(), ids=DUE)
def test_a_backup_is_due_when_the_last_success_is_old(success: int, due: bool) -> None:
    assert state.due(Last(success, state.OK), 24, NOW) is due


def test_an_hourly_backup_runs_every_hour() -> None:
    assert state.due(Last(NOW - HOUR + 30, state.OK), 1, NOW)
    assert not state.due(Last(NOW - 60, state.OK), 1, NOW)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home with the directory of our state."""
    made = Paths(tmp_path)
    made.make_state()
    return made


def test_the_last_result_is_kept(paths: Paths) -> None:
    state.write_last(paths, Last(NOW, "server-full"))

    assert state.read_last(paths) == Last(NOW, "server-full")


LIES = {
    "absent": None,
    "not-json": b"{",
    "list": b"[]",
    "unknown-outcome": b'{"success": 1, "outcome": "wonderful"}',
    "terminal": b'{"success": 1, "outcome": "ok\\u001b[31m"}',
    "negative": b'{"success": -1, "outcome": "ok"}',
    "float": b'{"success": 1.5, "outcome": "ok"}',
    "true": b'{"success": true, "outcome": "ok"}',
    "huge": b'{"success": 1000000000000000, "outcome": "ok"}',
    "unhashable": b'{"success": 1, "outcome": "never", "x": []}x',
    "flood": b" " * 5000,
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_a_file_that_tells_nothing_sensible_counts_as_never(
    paths: Paths, data: bytes | None
) -> None:
    if data is not None:
        (paths.state / "last.json").write_bytes(data)

    assert state.read_last(paths) == Last(0, state.NEVER)


def test_a_second_run_is_refused_while_the_first_lasts(paths: Paths) -> None:
    with state.only_run(paths), pytest.raises(ServiceFailure) as refused, state.only_run(paths):
        pass

    assert refused.value.cause == "locked"


def test_the_lock_is_free_again_after_a_failure(paths: Paths) -> None:
    with pytest.raises(KeyError), state.only_run(paths):
        raise KeyError

    with state.only_run(paths):
        pass


def test_each_proof_is_new_and_private(paths: Paths) -> None:
    first, second = state.new_proof(paths), state.new_proof(paths)

    assert first != second
    assert paths.proof.read_bytes() == second
    assert len(second) == 65
    assert paths.proof.stat().st_mode & 0o777 == 0o600
