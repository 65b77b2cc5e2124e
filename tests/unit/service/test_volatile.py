"""The private directory in memory: made once, and refused where it is not private or not there."""

import os
from pathlib import Path

import pytest

from qborg_service import volatile
from qborg_service.failure import ServiceFailure


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that counts as memory; answers where ours would be."""
    monkeypatch.setattr(volatile, "_MEMORY", tmp_path)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    return tmp_path / f"qubes-borg-{os.getuid()}"


def test_it_is_made_private_and_found_again(memory: Path) -> None:
    assert volatile.folder() == volatile.folder() == memory
    assert memory.stat().st_mode & 0o777 == 0o700


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


BENT = {
    "open-to-all": _open_to_all,
    "a-link": lambda path: path.symlink_to("/tmp"),
}


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
def test_what_is_not_private_is_refused(memory: Path, bend: object) -> None:
    assert callable(bend)
    bend(memory)

    with pytest.raises(ServiceFailure, match="not this user's own"):
        volatile.folder()


def test_a_file_in_its_place_is_refused(memory: Path) -> None:
    memory.write_text("", encoding="ascii")

    with pytest.raises(FileExistsError):
        volatile.folder()


def test_where_it_would_be_on_a_disk_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volatile, "_MEMORY", tmp_path)

    with pytest.raises(ServiceFailure, match="not in memory"):
        volatile.folder()
    assert not list(tmp_path.iterdir())
