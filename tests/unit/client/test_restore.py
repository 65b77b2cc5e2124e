"""Where a restore may go, and how a path is said to borg."""

import os
import threading
import time
from pathlib import Path

import pytest

from qborg_client import restore
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure

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
    assert restore.checked_directory(paths, str(paths.home), begun=True) == paths.home
    with pytest.raises(ServiceFailure, match="ssh trusts"):
        restore.checked_directory(paths, str(paths.ssh), begun=True)


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
    with pytest.raises(ServiceFailure), restore.fresh(long):
        pass


def test_what_a_cut_run_has_begun_is_gone_on_with(paths: Paths) -> None:
    begun = paths.home / "begun"
    begun.mkdir()
    (begun / "half").touch()
    assert refusal(paths, str(begun)) == "directory-refused"

    (begun / restore.BEGUN).touch()

    assert restore.checked_directory(paths, str(begun)) == begun


def test_a_mark_that_leads_elsewhere_is_not_followed(paths: Paths) -> None:
    (paths.home / "begun").mkdir()
    (paths.home / "begun" / restore.BEGUN).symlink_to(paths.home / "elsewhere")

    with pytest.raises(ServiceFailure) as refused, restore._alone(paths.home / "begun"):
        pass

    assert refused.value.cause == "directory-refused" and not (paths.home / "elsewhere").exists()


def test_one_that_waited_for_a_cut_run_has_a_directory_again(paths: Paths) -> None:
    found, target = [], paths.home / "new"

    def waits() -> None:
        with restore._alone(target):
            found.append(target.is_dir())

    second = threading.Thread(target=waits)
    with pytest.raises(KeyError), restore._alone(target):
        second.start()
        time.sleep(0.3)  # it waits by now; were it not to, it would have its own in any case
        raise KeyError
    second.join()

    assert found == [True]


def test_a_directory_with_nothing_but_the_mark_goes_too(paths: Paths) -> None:
    with pytest.raises(KeyError), restore.fresh(paths.home / "new"):
        (paths.home / "new" / restore.BEGUN).touch()
        raise KeyError

    assert not (paths.home / "new").exists()


def test_a_made_directory_is_private_and_stays_after_success(paths: Paths) -> None:
    target = paths.home / "new" / "deep"

    with restore.fresh(target):
        (target / "file").touch()

    assert target.stat().st_mode & 0o777 == 0o700
    assert target.parent.stat().st_mode & 0o777 == 0o700


def test_after_a_failure_what_stayed_empty_is_gone_and_the_rest_not(paths: Paths) -> None:
    for name in ("empty", "half"):
        with pytest.raises(KeyError), restore.fresh(paths.home / name):
            if name == "half":
                (paths.home / name / "file").touch()
            raise KeyError

    assert sorted(os.listdir(paths.home)) == [".ssh", "half"]
