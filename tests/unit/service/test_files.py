"""Private files: whole or not at all, no links, no more than allowed."""

import os
import stat
from pathlib import Path

import pytest

from qborg_service.files import FileRefused, read_limited, write_private


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    old_umask = os.umask(0)
    try:
        write_private(path, b"value")
    finally:
        os.umask(old_umask)

    assert path.read_bytes() == b"value"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_a_link_in_the_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    (tmp_path / "secret").symlink_to(victim)

    write_private(tmp_path / "secret", b"new")

    assert victim.read_bytes() == b"old"
    assert not (tmp_path / "secret").is_symlink()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "in-the-way").touch()

    with pytest.raises(OSError, match="."):
        write_private(tmp_path / "place", b"new")

    assert os.listdir(tmp_path) == ["place"]


def test_the_limit_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    assert read_limited(path, 5) == b"12345"
    with pytest.raises(FileRefused):
        read_limited(path, 4)


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")

    for name in ("link", "fifo", "."):
        with pytest.raises(OSError, match="."):
            read_limited(tmp_path / name, 10)


def test_a_missing_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_limited(tmp_path / "none", 10)
