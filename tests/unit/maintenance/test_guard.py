"""The guard: it keeps only what it is told to keep, whatever happens to the service."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qborg_maintenance.guard import Verdict, guarded
from qborg_maintenance.state import State
from qborg_service.deadline import DeadlinePassed, deadline

ROOT = Path(__file__).parents[3]
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{wire!r}, {services!r}]
from qborg_maintenance.guard import guarded
from qborg_maintenance.state import State

def roll_back(orphaned):
    Path({note!r}).write_text(str(orphaned))
    return True

with State(Path({state!r})).locked() as lock:
    with guarded(roll_back, (lock,)):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_proved_is_kept(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with guarded(lambda _orphaned: note.write_text("rolled") > 0, ()) as guard:
        verdict = guard.keep()

    assert verdict is Verdict.KEPT
    assert not note.exists()


def test_what_is_refused_is_rolled_back_by_the_time_it_answers(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with guarded(lambda orphaned: note.write_text(str(orphaned)) > 0, ()) as guard:
        verdict = guard.roll_back()
        assert note.read_text() == "False"

    assert verdict is Verdict.ROLLED_BACK


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_leaving_by_any_way_rolls_back(tmp_path: Path, error: type[BaseException]) -> None:
    note = tmp_path / "note"
    with (
        pytest.raises(error),
        guarded(lambda orphaned: note.write_text(str(orphaned)) > 0, ()),
    ):
        raise error

    assert note.read_text() == "False"


@pytest.mark.parametrize("word", ["said", "unsaid"])
def test_time_that_is_up_while_it_rolls_back_is_told_afterwards(tmp_path: Path, word: str) -> None:
    note = tmp_path / "note"

    def slowly(_orphaned: bool) -> bool:
        time.sleep(1)
        return note.write_text("rolled") > 0

    with pytest.raises(DeadlinePassed), deadline(0.3), guarded(slowly, ()) as guard:
        if word == "said":
            guard.roll_back()

    assert note.exists()


def test_a_failed_roll_back_is_told() -> None:
    with guarded(lambda _orphaned: False, ()) as guard:
        assert guard.roll_back() is Verdict.LOST


def test_a_roll_back_that_breaks_is_told_and_comes_back_nowhere(tmp_path: Path) -> None:
    with guarded(lambda _orphaned: (tmp_path / "none").read_bytes() == b"", ()) as guard:
        assert guard.roll_back() is Verdict.LOST


def test_it_holds_nothing_but_what_it_is_given() -> None:
    reader, writer = os.pipe()
    with guarded(lambda _orphaned: True, ()) as guard:
        os.close(writer)
        assert os.read(reader, 1) == b""
        guard.keep()
    os.close(reader)


def test_a_killed_service_is_rolled_back_under_its_lock(tmp_path: Path) -> None:
    note, folder = tmp_path / "note", tmp_path / "state"
    text = KILLED.format(
        wire=str(ROOT / "dom0"), services=str(ROOT / "vm-services"), note=str(note),
        state=str(folder),
    )  # fmt: skip

    subprocess.run([sys.executable, "-I", "-c", text], check=False, timeout=60)
    # The guard kept the lock, so whoever gets it next finds the old file there.
    with State(folder).locked():
        assert note.read_text() == "True"
