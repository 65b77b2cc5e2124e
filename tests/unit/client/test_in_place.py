"""Files that go over those that are there: whole, as they were, and never over a link."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qborg_borg import command
from qborg_borg.command import Access
from qborg_client import begun, in_place
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

ACCESS = Access("ssh://bakserver/./repos/m-work", "borg", "ssh", Secret(b"x"))
ASKED = begun.Asked(ACCESS.url, in_place.BEGUN, ("home/user/docs", "home/user/x"))
FIRST, SECOND = "work-2026-01-31T10:17:00", "work-2026-02-01T11:18:01"
NOTES = "notes-2026-01-31T10:17:00"  # an archive that a person made
OLD = 1_577_934_245
DAY = 86400


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """What was extracted, with the modes, times and attributes that it must keep."""
    docs = tmp_path / "stage" / "home" / "docs"
    (docs / "deep").mkdir(parents=True)
    (docs / "letter").write_text("dear")
    (docs / "link").symlink_to("letter")
    os.link(docs / "letter", docs / "deep" / "again")
    os.setxattr(docs / "deep", "user.kind", b"deep")
    (docs / "letter").chmod(0o640)
    (docs / "deep").chmod(0o500)
    for path in (docs / "letter", docs / "deep", docs):
        os.utime(path, (OLD, OLD))
    return tmp_path / "stage"


def _place(stage: Path, *paths: str) -> in_place.Placing:
    root = stage.parent / "root"
    root.mkdir(exist_ok=True)
    placing = in_place.Placing(stage, lambda _files, _size: None, str(root))
    for path in paths:
        placing.place(path)
    placing.finish()
    return placing


def _counts(placing: in_place.Placing) -> tuple[int, int]:
    return placing.files, placing.missed


def test_all_of_it_comes_as_it_was(stage: Path) -> None:
    assert _counts(_place(stage, "home/docs")) == (3, 0)

    docs = stage.parent / "root" / "home" / "docs"
    assert (docs / "letter").read_text() == "dear" and os.readlink(docs / "link") == "letter"
    assert (docs / "letter").stat().st_nlink == 2
    assert [path.stat().st_mode & 0o777 for path in (docs / "letter", docs / "deep")] == [
        0o640, 0o500]
    assert os.getxattr(docs / "deep", "user.kind") == b"deep"
    assert {path.stat().st_mtime for path in (docs, docs / "deep", docs / "letter")} == {OLD}


def test_what_is_there_is_replaced_and_what_is_beside_it_stays(stage: Path) -> None:
    docs = stage.parent / "root" / "home" / "docs"
    docs.mkdir(parents=True)
    (docs / "letter").write_text("worse")
    (docs / "own").write_text("mine")

    assert _counts(_place(stage, "home/docs")) == (3, 0)

    assert (docs / "letter").read_text() == "dear" and (docs / "own").read_text() == "mine"


def test_one_file_alone_changes_no_directory(stage: Path) -> None:
    docs = stage.parent / "root" / "home" / "docs"
    docs.mkdir(parents=True, mode=0o711)

    assert _counts(_place(stage, "home/docs/letter", "home/docs/letter")) == (1, 0)

    assert docs.stat().st_mode & 0o777 == 0o711 and os.listdir(docs) == ["letter"]


def _link_for_directory(root: Path) -> None:
    (root / "home").mkdir(parents=True)
    (root / "elsewhere").mkdir()
    (root / "home" / "docs").symlink_to("../elsewhere")


def _file_for_directory(root: Path) -> None:
    (root / "home").mkdir(parents=True)
    (root / "home" / "docs").touch()


def _directory_for_file(root: Path) -> None:
    (root / "home" / "docs" / "letter").mkdir(parents=True)
    (root / "home" / "docs" / "link").mkdir()
    (root / "home" / "docs" / "deep" / "again").mkdir(parents=True)


def _link_above(root: Path) -> None:
    (root / "elsewhere").mkdir(parents=True)
    (root / "home").symlink_to("elsewhere")


IN_THE_WAY = {"link": _link_for_directory, "file": _file_for_directory,
              "directories": _directory_for_file, "link-above": _link_above}  # fmt: skip


@pytest.mark.parametrize("bends", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_nothing_goes_over_what_is_of_another_kind(stage: Path, bends: Any) -> None:
    root = stage.parent / "root"
    bends(root)
    before = sorted(os.listdir(root)), sorted(os.listdir(root / "home"))

    placed, missed = _counts(_place(stage, "home/docs"))

    assert placed == 0 and missed >= 2
    assert (sorted(os.listdir(root)), sorted(os.listdir(root / "home"))) == before
    assert "elsewhere" not in before[0] or not os.listdir(root / "elsewhere")


OUTSIDE = ["/rw/config", "/", "/home/user/../other", "/home/user2/x", "/home"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_is_outside_of_the_home_is_refused(path: str) -> None:
    with pytest.raises(ServiceFailure) as refused:
        in_place._own_path(Paths(Path("/home/user")), path)

    assert refused.value.cause in ("directory-refused", "source-missing")


def test_what_a_cut_run_has_left_is_taken_away_whatever_its_modes(tmp_path: Path) -> None:
    (tmp_path / "stage" / "a" / "b").mkdir(parents=True)
    (tmp_path / "stage" / "a" / "b").chmod(0o000)
    (tmp_path / "stage" / "a").chmod(0o500)
    (tmp_path / "stage" / "link").symlink_to(tmp_path)

    with in_place._staged(tmp_path / "stage"):
        assert not os.listdir(tmp_path / "stage")

    assert os.listdir(tmp_path) == []


def _keeps(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have a repository that holds these archives."""
    listing = {"archives": [{"name": name, "time": name[-19:]} for name in names]}
    argv = [sys.executable, "-I", "-c", f"print({json.dumps(listing)!r})"]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Have what a run left that was cut while it put files of the first of two archives in place.

    It went by that archive's name, as dom0 orders what a person has agreed to.
    """
    _keeps(monkeypatch, FIRST, SECOND)
    paths = Paths(tmp_path)
    paths.make_state()
    with (pytest.raises(KeyError),
          in_place._noted(paths, replace(ASKED, word=FIRST).note(FIRST))):  # fmt: skip
        raise KeyError
    return paths


AGAIN = {
    "as-typed": (ASKED, FIRST), "in-another-order": (
        replace(ASKED, inside=("home/user/x", "home/user/docs")), FIRST),
    "the-latest": (replace(ASKED, word="latest"), SECOND),
    "by-name": (replace(ASKED, word=SECOND), SECOND),
    "by-time": (replace(ASKED, word="until:1800000000"), SECOND),
    "other-paths": (replace(ASKED, inside=("home/user/x",)), SECOND),
    "another-repository": (replace(ASKED, repository="ssh://bakserver/./repos/m-x"), SECOND),
}


@pytest.mark.parametrize(("asked", "archive"), AGAIN.values(), ids=AGAIN)
def test_what_was_cut_is_gone_on_with_unless_something_else_is_asked_for(
    cut: Paths, asked: begun.Asked, archive: str
) -> None:
    assert in_place.named(cut, ACCESS, asked, "work") == archive


LATER: dict[str, tuple[str, int, tuple[str, ...], str]] = {
    "soon": (FIRST, DAY, (FIRST, SECOND), FIRST), "old": (FIRST, 3 * DAY, (FIRST, SECOND), SECOND),
    "by-a-clock-set-back": (FIRST, -9 * DAY, (FIRST, SECOND), FIRST),
    "a-persons-own": (NOTES, DAY, (NOTES, SECOND), NOTES),
    "not-there-any-more": (FIRST, DAY, (SECOND,), SECOND),
}


@pytest.mark.parametrize(("noted", "age", "kept", "archive"), LATER.values(), ids=LATER)
def test_it_is_gone_on_with_soon_and_as_long_as_it_is_there(
    cut: Paths, monkeypatch: pytest.MonkeyPatch, noted: str, age: int, kept: tuple[str, ...],
    archive: str,
) -> None:
    cut.placing.write_bytes(ASKED.note(noted))
    os.utime(cut.placing, (time.time() - age,) * 2)
    _keeps(monkeypatch, *kept)

    assert in_place.named(cut, ACCESS, ASKED, "work") == archive


def test_what_all_came_of_is_begun_no_more(cut: Paths) -> None:
    with in_place._noted(cut, ASKED.note(FIRST)):
        assert in_place.named(cut, ACCESS, ASKED, "work") == FIRST

    assert in_place.named(cut, ACCESS, ASKED, "work") == SECOND


DAMAGED = {"empty": b"", "bent": b"latest -x \n", "long": b"x" * 1000}


@pytest.mark.parametrize("untrusted", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_note_says_nothing(cut: Paths, untrusted: bytes) -> None:
    cut.placing.write_bytes(untrusted)

    assert in_place.named(cut, ACCESS, ASKED, "work") == SECOND
