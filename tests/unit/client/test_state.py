"""What a client remembers: its last run, one run at a time, and lies in its own files."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from qborg_client import state
from qborg_client.paths import Paths
from qborg_client.state import Last
from qborg_service.failure import ServiceFailure

NOW = 1_800_000_000


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home with the directory of our state."""
    made = Paths(tmp_path)
    made.make_state()
    return made


def test_the_last_result_is_kept(paths: Paths) -> None:
    state.write_last(paths, Last(NOW, "server-full"))

    assert state.read_last(paths) == Last(NOW, "server-full")


def test_what_a_run_made_is_kept_too(paths: Paths) -> None:
    last = Last(NOW, state.OK, NOW, 12, "work-2026-01-02T03:04:05", 7, 900, 80, 2)

    state.write_last(paths, last)

    assert state.read_last(paths) == last


def test_of_a_strange_detail_is_kept_what_can_be_shown(paths: Paths) -> None:
    state.write_last(paths, Last(0, "borg-failed", detail="caf\u00e9 \x1b[31m" + "x" * 500))

    assert state.read_last(paths).detail == "caf_ _[31m" + "x" * 190


FILES = {
    "older": b'{"success": 5, "outcome": "ok"}',
    "newer": b'{"success": 5, "outcome": "ok", "moon": "full"}',
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_of_another_version_is_read(paths: Paths, data: bytes) -> None:
    (paths.state / "last.json").write_bytes(data)

    assert state.read_last(paths) == Last(5, state.OK)


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
    "no-year": b'{"success": 100000000000, "outcome": "ok"}',
    "unhashable": b'{"success": 1, "outcome": "never", "x": []}x',
    "archive": b'{"success": 1, "outcome": "ok", "archive": "../x"}',
    "files-are-a-text": b'{"success": 1, "outcome": "ok", "files": "7"}',
    "detail-for-a-terminal": b'{"success": 1, "outcome": "ok", "detail": "\\u001b[31m"}',
    "long-detail": b'{"success": 1, "outcome": "ok", "detail": "' + b"x" * 201 + b'"}',
    "deep": b'{"success": 1, "outcome": "ok", "detail": ' + b"[" * 900 + b"]" * 900 + b"}",
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

    assert refused.value.cause == "locked" and isinstance(refused.value, state.OtherRun)


def test_a_run_that_tells_so_waits_for_the_other(paths: Paths) -> None:
    first = ExitStack()
    first.enter_context(state.only_run(paths))
    told = []

    def on_wait() -> None:
        told.append("waits")
        first.close()

    with state.only_run(paths, on_wait):
        assert told == ["waits"]


def test_nobody_waits_for_ever(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_PATIENCE", 0.0)
    with (
        state.only_run(paths),
        pytest.raises(ServiceFailure, match="another backup"),
        state.only_run(paths, lambda: None),
    ):
        pass


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
