"""Where a restore may go, and how a path is said to borg."""

import os
import sys
from pathlib import Path

import pytest

from qborg_borg import command
from qborg_borg.command import Access
from qborg_client import begun, restore
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

SAME = "home/user/docs"
PATHS = {
    "relative": SAME,
    "absolute": f"/{SAME}",
    "trailing-slash": f"/{SAME}/",
    "doubled-and-dotted": "//home/./user//docs",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_is_said_in_borgs_form(path: str) -> None:
    assert restore.archive_path(path) == SAME


@pytest.mark.parametrize("path", ["/", "", ".", "..", "/home/../etc", "home/user/.."])
def test_a_path_that_names_nothing_or_climbs_is_refused(path: str) -> None:
    with pytest.raises(ServiceFailure) as refused:
        restore.archive_path(path)

    assert refused.value.cause == "source-missing"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home with ssh's directory."""
    made = Paths(tmp_path / "home")
    made.ssh.mkdir(parents=True)
    return made


def test_a_new_and_an_empty_directory_will_do(paths: Paths) -> None:
    empty = paths.home / "empty"
    empty.mkdir()

    assert restore.checked_directory(paths, str(empty)) == empty
    assert restore.checked_directory(paths, str(paths.home / "new" / "deep"))
    assert not (paths.home / "new").exists()


def refusal(paths: Paths, directory: str) -> str:
    """Answer the cause with which a directory is refused."""
    with pytest.raises(ServiceFailure) as refused:
        restore.checked_directory(paths, directory)
    return refused.value.cause


def test_what_holds_something_is_refused(paths: Paths) -> None:
    assert refusal(paths, str(paths.home)) == "directory-refused"


def test_what_a_cut_run_has_begun_is_gone_on_with_but_never_where_ssh_trusts(paths: Paths) -> None:
    assert restore.checked_directory(paths, str(paths.home), over=True) == paths.home
    with pytest.raises(ServiceFailure, match="ssh trusts"):
        restore.checked_directory(paths, str(paths.ssh), over=True)


@pytest.mark.parametrize("below", ["", "/new", "/backups/x"])
def test_nothing_is_put_where_ssh_trusts(paths: Paths, below: str) -> None:
    assert refusal(paths, f"{paths.ssh}{below}") == "directory-refused"


def test_a_way_round_to_ssh_is_seen(paths: Paths) -> None:
    (paths.home / "innocent").symlink_to(paths.ssh)

    assert refusal(paths, f"{paths.home}/innocent/new") == "directory-refused"


def test_a_link_is_refused(paths: Paths) -> None:
    (paths.home / "empty").mkdir()
    (paths.home / "link").symlink_to(paths.home / "empty")

    assert refusal(paths, f"{paths.home}/link") == "directory-refused"


def test_a_file_is_refused(paths: Paths) -> None:
    (paths.home / "file").touch()

    assert refusal(paths, f"{paths.home}/file") == "directory-refused"


@pytest.mark.parametrize("directory", ["relative", "/a/../b", ""])
def test_only_a_plain_absolute_path_is_taken(paths: Paths, directory: str) -> None:
    assert refusal(paths, directory) == "directory-refused"


def test_names_too_long_for_the_system_are_refused(paths: Paths) -> None:
    long = paths.home / ("x" * 300)

    assert refusal(paths, str(long)) == "directory-refused"
    with pytest.raises(ServiceFailure), begun.fresh(long):
        pass


def test_what_a_cut_run_has_begun_is_gone_on_with(paths: Paths) -> None:
    target = paths.home / "begun"
    target.mkdir()
    (target / "half").touch()
    assert refusal(paths, str(target)) == "directory-refused"

    (target / begun.MARK).touch()

    assert restore.checked_directory(paths, str(target)) == target


# A borg that would wait for ever, if another one read the repository before it had opened that.
OPENS = """
import pathlib, sys, time
place, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
if "list" in words:
    (place / "listed").touch()
    sys.stdout.write(f"- 7 {OTHER} home/a\\0")
    sys.exit()
print("Remote: said by ssh", file=sys.stderr, flush=True)
time.sleep(1)
if (place / "listed").exists():
    sys.exit(73)
print('{"type": "progress_percent", "current": 0}', file=sys.stderr, flush=True)
deadline = time.monotonic() + 30
while not (place / "listed").exists() and time.monotonic() < deadline:
    time.sleep(0.05)
sys.exit(not (place / "listed").exists() and 2)
"""


def test_what_comes_is_listed_beside_but_not_before_the_repository_is_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    borg = OPENS.replace("OTHER", str(os.getuid() + 1))
    argv = [sys.executable, "-I", "-c", borg, str(tmp_path)]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])
    access = Access("ssh://x/./repos/m-work", "borg", "ssh", Secret(b"x"))

    came = restore.extract(access, "work", "a", ["home"], [], tmp_path / "new", [],
                           lambda _files, _size: None)  # fmt: skip

    assert came == restore.Restored("a", 0, 0, 1)
