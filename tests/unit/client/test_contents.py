"""What is in an archive, as borg lists it: counted, bounded, and told as JSON that dom0 takes."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from qborg_borg import command
from qborg_borg.command import Access
from qborg_client import contents, told
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret
from qborg_wire.services import SERVICES

ACCESS = Access("ssh://x/./repos/m-work", "borg", "ssh", Secret(b"x"))
BORG = "import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]) * int(sys.argv[2]))"
ME = os.getuid()
PATTERNS = {field.name: field for name in ("ListFiles", "ListArchives")
            for field in SERVICES[name].reply}  # fmt: skip


def _below(monkeypatch: pytest.MonkeyPatch, listing: bytes, root: Path = Path("/"),
           times: int = 1) -> contents.Contents:  # fmt: skip
    argv = [sys.executable, "-I", "-c", BORG, listing.hex(), str(times)]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])
    return contents.below(ACCESS, "a", ["home"], lambda _files: None, str(root))


def test_files_are_counted_and_directories_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "b c").touch()
    listing = (f"d 0 {ME} home\0- 7 {ME} home/b c\0l 0 {ME + 1} home/".encode() + b"\xff\x1b\n\0")

    found = _below(monkeypatch, listing, tmp_path)

    assert (found.files, found.size, found.there, found.others, found.all) == (2, 7, 1, 1, 3)
    assert found.names == ["/home/", "/home/b c", "/home/\udcff\x1b\n"]


BENT = {"cut": b"- 7 1 home", "no-size": b"- x 1 home\0", "no-name": b"- 7 1 \0", "empty": b"\0",
        "negative": b"- -7 1 home\0", "of-nothing": b""}


@pytest.mark.parametrize("listing", BENT.values(), ids=BENT)
def test_what_is_no_list_is_a_failure(monkeypatch: pytest.MonkeyPatch, listing: bytes) -> None:
    with pytest.raises(ServiceFailure) as failed:
        _below(monkeypatch, listing)

    assert failed.value.cause in ("borg-failed", "source-missing")


def test_what_borg_could_not_print_counts_as_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _below(monkeypatch, b"- 7 1 no/such/caf?\0- 7 1 no/such/cafe\0").there == 1


def test_a_name_without_an_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceFailure, match="no end"):
        _below(monkeypatch, b"x", times=9_000_000)


def test_a_long_list_is_counted_whole_and_kept_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _below(monkeypatch, f"- 1 {ME} {'x' * 100}\0".encode(), times=5000)

    assert found.all == found.files == 5000 and len(found.names) < 1000
    text, left = told.fitting(found.names)
    assert len(text) <= told.LIMIT and len(json.loads(text)) + left == len(found.names)


# A borg that tells when it has begun, and waits for a word to list.
SLOW = """
import pathlib, sys, time
place = pathlib.Path(sys.argv[1])
(place / "begun").touch()
while not (place / "go").exists():
    time.sleep(0.05)
sys.stdout.buffer.write(bytes.fromhex(sys.argv[2]))
"""
OTHERS = f"- 7 {ME} home/a\0- 7 {ME + 1} home/b\0- 7 {ME + 1} home/c\0".encode()


def _listing(
    monkeypatch: pytest.MonkeyPatch, place: Path, listing: bytes, borg: str = SLOW
) -> None:
    argv = [sys.executable, "-I", "-c", borg, str(place), listing.hex()]
    monkeypatch.setattr(command, "argv", lambda _access, tail: [*argv, *tail])


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_others_are_counted_while_the_files_come(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _listing(monkeypatch, tmp_path, OTHERS)
    told = []

    with contents.others_beside(ACCESS, "a", ["home"]) as others:
        others.begin()
        _wait_for(tmp_path / "begun")
        (tmp_path / "go").touch()
        assert others.count(lambda: told.append(1)) == 2

    assert told


def test_a_list_that_fails_is_told_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _listing(monkeypatch, tmp_path, b"- x 1 home\0")
    (tmp_path / "go").touch()

    with contents.others_beside(ACCESS, "a", ["home"]) as others:
        others.begin()
        _wait_for(tmp_path / "begun")
        with pytest.raises(ServiceFailure, match="list of files is none"):
            others.count(lambda: None)


# A borg that lists, but for the first time, when another one has the lock for itself.
LOCKED = """
import pathlib, sys
tried = pathlib.Path(sys.argv[1]) / "tried"
if not tried.exists():
    tried.touch()
    sys.exit(73)
sys.stdout.buffer.write(bytes.fromhex(sys.argv[2]))
"""


def test_a_list_that_the_lock_kept_out_is_made_when_the_files_have_come(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _listing(monkeypatch, tmp_path, OTHERS, LOCKED)
    told = []

    with contents.others_beside(ACCESS, "a", ["home"]) as others:
        others.begin()
        assert others.count(lambda: told.append(1)) == 2

    assert told


@pytest.mark.parametrize("listing", [None, b"- x 1 home\0"], ids=["goes-on", "failed"])
def test_where_the_files_do_not_come_nobody_waits_for_the_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listing: bytes | None
) -> None:
    _listing(monkeypatch, tmp_path, listing or OTHERS)
    if listing is not None:
        (tmp_path / "go").touch()
    began = time.monotonic()

    with (pytest.raises(KeyError),
          contents.others_beside(ACCESS, "a", ["home"]) as others):  # fmt: skip
        others.begin()
        _wait_for(tmp_path / "begun")
        raise KeyError

    assert time.monotonic() - began < 20


LISTS: dict[str, tuple[str, list[object]]] = {
    "none": ("names", []), "every-byte": ("names", [os.fsdecode(bytes(range(1, 256))), "/\u20ac"]),
    "many": ("names", ["/\x7f"] * 9000),
    "archives": ("archives", [{"name": "work-1", "time": 0}] * 5000),
}


@pytest.mark.parametrize(("field", "items"), LISTS.values(), ids=LISTS)
def test_a_list_is_what_the_contract_takes(field: str, items: list[object]) -> None:
    text, left = told.fitting(items)

    assert PATTERNS[field].pattern.fullmatch(text) and len(text) <= PATTERNS[field].limit
    assert json.loads(text) == items[: len(items) - left] and (left == 0 or len(text) > 59000)
