"""The one line in the user's ssh configuration: at the top, once, and every other byte kept."""

import os
from pathlib import Path

import pytest

from qborg_client import ssh_config
from qborg_client.ssh_config import INCLUDE
from qborg_service.failure import ServiceFailure

REST = {
    "absent": b"",
    "plain": b"Host x\n  User y\n",
    "no-final-newline": b"Host x\n  User y",
    "crlf": b"Host x\r\n\tUser y\r\n",
    "not-utf-8": b"# caf\xe9\nHost \xff\n",
    "another-include": b"Include backups/bakserver.d\n",
    "our-words-in-a-comment": b"# Include backups/bakserver\n",
}


@pytest.mark.parametrize("rest", REST.values(), ids=REST)
def test_every_other_byte_stays(rest: bytes) -> None:
    assert ssh_config.with_include(rest) == INCLUDE + rest


@pytest.mark.parametrize("rest", REST.values(), ids=REST)
def test_a_second_time_changes_nothing(rest: bytes) -> None:
    once = ssh_config.with_include(rest)

    assert ssh_config.with_include(once) == once


def test_a_line_that_fell_below_a_host_comes_up_again() -> None:
    assert ssh_config.with_include(b"Host x\n" + INCLUDE + b"  User y\n") == (
        INCLUDE + b"Host x\n  User y\n"
    )


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"Host x\n")
    path.chmod(mode)
    wanted = ssh_config.planned(path)
    assert wanted is not None

    ssh_config.write(path, wanted)

    assert path.stat().st_mode & 0o7777 == mode
    assert ssh_config.planned(path) is None


def test_a_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "config"
    wanted = ssh_config.planned(path)
    assert wanted == INCLUDE

    ssh_config.write(path, wanted)

    assert path.stat().st_mode & 0o7777 == 0o600


def test_planning_changes_nothing(tmp_path: Path) -> None:
    ssh_config.planned(tmp_path / "config")

    assert list(tmp_path.iterdir()) == []


def test_a_symlink_is_refused_and_what_it_names_untouched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"Host x\n")
    (tmp_path / "config").symlink_to(elsewhere)

    with pytest.raises(ServiceFailure) as refused:
        ssh_config.planned(tmp_path / "config")

    assert refused.value.cause == "bundle-refused"
    assert elsewhere.read_bytes() == b"Host x\n"


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config")

    with pytest.raises(ServiceFailure):
        ssh_config.planned(tmp_path / "config")


def test_a_flood_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"#" * (1024 * 1024 + 1))

    with pytest.raises(ServiceFailure):
        ssh_config.planned(tmp_path / "config")


@pytest.mark.parametrize("rest", REST.values(), ids=REST)
def test_without_our_line_every_other_byte_is_there(rest: bytes) -> None:
    assert ssh_config.without_include(INCLUDE + rest) == rest
    assert ssh_config.without_include(rest) == rest


def test_a_file_that_held_our_line_alone_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    ssh_config.write(path, INCLUDE)
    wanted = ssh_config.planned_removal(path)
    assert wanted == b""

    ssh_config.write(path, wanted)

    assert not path.exists()
    assert ssh_config.planned_removal(path) is None


def test_our_line_in_a_linked_file_is_left_to_a_person(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(INCLUDE)
    (tmp_path / "config").symlink_to("elsewhere")

    with pytest.raises(ServiceFailure):
        ssh_config.planned_removal(tmp_path / "config")
