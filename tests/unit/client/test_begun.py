"""A directory that a restore fills: of one archive, alone in it, marked until all is there."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qborg_client import begun
from qborg_service.failure import ServiceFailure

FIRST, SECOND = "work-2026-01-31T10:17:00", "work-2026-02-01T11:18:01"
ASKED = begun.Asked("ssh://bakserver/./repos/dom-work", "latest", ("home/user/docs", "etc"))


def _finds_none() -> str:
    pytest.fail("an archive is looked for")


def _cut(target: Path, asked: begun.Asked = ASKED) -> None:
    """Have what a run left that was cut amid its second file."""
    with pytest.raises(KeyError), begun.alone(target, asked, lambda: FIRST):
        (target / "small").write_text("whole")
        (target / "big").write_text("ha")
        raise KeyError


def _refusal(target: Path, asked: begun.Asked = ASKED) -> str:
    with (pytest.raises(ServiceFailure) as refused,
          begun.alone(target, asked, lambda: SECOND)):  # fmt: skip
        pytest.fail("it extracts")
    assert refused.value.cause == "directory-refused"
    return refused.value.detail


def test_the_mark_is_there_until_all_is(tmp_path: Path) -> None:
    with begun.alone(tmp_path, ASKED, lambda: FIRST) as archive:
        assert archive == FIRST and os.listdir(tmp_path) == [begun.MARK]
        assert (tmp_path / begun.MARK).stat().st_mode & 0o777 == 0o600

    assert os.listdir(tmp_path) == []


AGAIN = {
    "as-it-was-typed": ASKED, "by-name": replace(ASKED, word=FIRST),
    "in-another-order": replace(ASKED, inside=("etc", "home/user/docs")),
}


@pytest.mark.parametrize("asked", AGAIN.values(), ids=AGAIN)
def test_another_run_goes_on_with_the_archive_of_the_cut_one(
    tmp_path: Path, asked: begun.Asked
) -> None:
    for _time in range(2):
        _cut(tmp_path)

    with begun.alone(tmp_path, asked, _finds_none) as archive:
        assert archive == FIRST

    assert sorted(os.listdir(tmp_path)) == ["big", "small"]


OTHERS = {
    "archive": replace(ASKED, word=SECOND), "time": replace(ASKED, word="until:1769860800"),
    "paths": replace(ASKED, inside=("etc",)), "everything": replace(ASKED, inside=()),
    "repository": replace(ASKED, repository="ssh://bakserver/./repos/dom-home"),
}


@pytest.mark.parametrize("asked", OTHERS.values(), ids=OTHERS)
def test_nothing_else_is_put_among_its_files(tmp_path: Path, asked: begun.Asked) -> None:
    _cut(tmp_path)

    assert f"{FIRST} was begun there" in _refusal(tmp_path, asked)

    assert (tmp_path / "big").read_text() == "ha" and (tmp_path / begun.MARK).exists()


NOTE = f"latest {FIRST} {ASKED.digest}\n"
BENT = {
    "cut": NOTE[:-1], "two": NOTE * 2, "before": f"\n{NOTE}", "after": f"{NOTE}\n",
    "carriage-return": NOTE.replace("\n", "\r\n"), "endless": NOTE + "x" * 10**6,
    "a-long-name": NOTE.replace(FIRST, "w" * 101), "an-option": NOTE.replace(FIRST, "-x"),
    "escape": NOTE.replace(FIRST, "w\x1b[2J"), "not-ascii": NOTE.replace("work", "w\u00f6rk"),
    "no-digest": f"latest {FIRST} \n", "nul": "\0" * len(NOTE),
}


@pytest.mark.parametrize("untrusted", BENT.values(), ids=BENT)
def test_a_damaged_mark_says_nothing(tmp_path: Path, untrusted: str) -> None:
    _cut(tmp_path)
    (tmp_path / begun.MARK).write_bytes(untrusted.encode())

    assert "nobody knows the archive" in _refusal(tmp_path)

    assert (tmp_path / begun.MARK).read_bytes() == untrusted.encode()


@pytest.mark.parametrize("untrusted", ["", *BENT.values()], ids=["empty", *BENT])
def test_with_nothing_beside_it_all_begins_anew(tmp_path: Path, untrusted: str) -> None:
    (tmp_path / begun.MARK).write_bytes(untrusted.encode())

    with begun.alone(tmp_path, ASKED, lambda: SECOND) as archive:
        assert archive == SECOND
        assert (tmp_path / begun.MARK).read_text() == NOTE.replace(FIRST, SECOND)


def test_one_that_waited_writes_into_nothing_that_came_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "nobody knows the archive" in _refusal(tmp_path)

    assert os.listdir(tmp_path) == ["file"]


def _link(mark: Path) -> None:
    mark.symlink_to("../elsewhere")


STRANGE = {"link": _link, "directory": Path.mkdir, "fifo": os.mkfifo}


@pytest.mark.parametrize("makes", STRANGE.values(), ids=STRANGE)
def test_a_mark_that_is_no_file_is_refused(tmp_path: Path, makes: object) -> None:
    target = tmp_path / "begun"
    target.mkdir()
    assert callable(makes)
    makes(target / begun.MARK)

    _refusal(target)

    assert os.listdir(tmp_path) == ["begun"]


def test_an_archive_that_is_not_found_leaves_nothing(tmp_path: Path) -> None:
    def finds() -> str:
        raise ServiceFailure("archive-missing", "there is none")

    with (pytest.raises(ServiceFailure, match="there is none"),
          begun.alone(tmp_path / "new", ASKED, finds)):  # fmt: skip
        pytest.fail("it extracts")

    assert os.listdir(tmp_path) == []


def test_one_that_waited_for_a_cut_run_has_a_directory_again(tmp_path: Path) -> None:
    found, target = [], tmp_path / "new"

    def waits() -> None:
        with begun.alone(target, ASKED, lambda: FIRST):
            found.append(target.is_dir())

    second = threading.Thread(target=waits)
    with pytest.raises(KeyError), begun.alone(target, ASKED, lambda: FIRST):
        second.start()
        time.sleep(0.3)  # it waits by now; were it not to, it would have its own in any case
        raise KeyError
    second.join()

    assert found == [True]


def test_a_directory_with_nothing_but_the_mark_goes_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), begun.fresh(tmp_path / "new"):
        (tmp_path / "new" / begun.MARK).touch()
        raise KeyError

    assert not (tmp_path / "new").exists()


def test_a_made_directory_is_private_and_stays_after_success(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep"

    with begun.fresh(target):
        (target / "file").touch()

    assert target.stat().st_mode & 0o777 == 0o700
    assert target.parent.stat().st_mode & 0o777 == 0o700


def test_after_a_failure_what_stayed_empty_is_gone_and_the_rest_not(tmp_path: Path) -> None:
    for name in ("empty", "half"):
        with pytest.raises(KeyError), begun.fresh(tmp_path / name):
            if name == "half":
                (tmp_path / name / "file").touch()
            raise KeyError

    assert sorted(os.listdir(tmp_path)) == ["half"]


def _ages(mark: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(mark, (then, then))


# What is done to the mark of a cut run, what is asked for then, and whether it goes on with that.
BELOW: dict[str, tuple[Callable[[Path], object], begun.Asked, bool]] = {
    "just-cut": (lambda _mark: None, ASKED, True),
    "by-another-word": (lambda _mark: None, replace(ASKED, word="until:1"), True),
    "of-other-paths": (lambda _mark: None, replace(ASKED, inside=("etc",)), False),
    "of-another-repository": (lambda _mark: None, replace(ASKED, repository="ssh://x"), False),
    "of-the-day-before": (lambda mark: _ages(mark, 1.5), ASKED, True),
    "long-ago": (lambda mark: _ages(mark, 2.5), ASKED, False),
    "the-clock-was-set-back": (lambda mark: _ages(mark, -9), ASKED, True),
    "damaged": (lambda mark: mark.write_bytes(b"latest ../x"), ASKED, False),
    "too-long": (lambda mark: mark.write_bytes(b"a" * 500), ASKED, False),
    "no-file": (lambda mark: (mark.unlink(), mark.mkdir()), ASKED, False),
    "done": (lambda mark: mark.unlink(), ASKED, False),
}


@pytest.mark.parametrize(("change", "asked", "goes_on"), BELOW.values(), ids=BELOW)
def test_what_was_begun_just_now_is_found_by_what_is_asked_for(
    tmp_path: Path, change: Callable[[Path], object], asked: begun.Asked, goes_on: bool
) -> None:
    assert begun.below(tmp_path / "none", asked) is None
    _cut(tmp_path / FIRST)
    (tmp_path / "other").mkdir()
    change(tmp_path / FIRST / begun.MARK)

    assert begun.below(tmp_path, asked) == (FIRST if goes_on else None)
