"""A preview adds up borg's list: real files, records as borg writes them."""

import json
import os
from pathlib import Path

import pytest

from qborg_borg import command
from qborg_borg.bundle import match_bundle
from qborg_borg.outcome import parse_record
from qborg_client import installed, preview
from qborg_client.paths import Paths
from qborg_client.preview import Amount, Listing, Preview
from qborg_client.schedule import Schedule
from qborg_client.state import Last, write_last
from qborg_client.tools import telling
from qborg_service.failure import ServiceFailure
from unit.borg.bundles import record

PLAN = Schedule(6, "dom0", "", ())


def listed(since: int, *lines: tuple[str, object]) -> Preview:
    """Answer what comes of a list of (status, path)."""
    found = Preview(since)
    listing = Listing(found)
    for status, path in lines:
        line = {"type": "file_status", "status": status, "path": str(path)}
        listing(parse_record(json.dumps(line).encode()))
    listing.finish()
    return found


def write(path: Path, size: int) -> Path:
    """Make a file of SIZE bytes, and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_files_that_are_taken_are_added_up_once(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", 10), write(tmp_path / "two", 5)
    os.link(one, tmp_path / "again")
    (tmp_path / "link").symlink_to(one)

    found = listed(0, ("-", tmp_path), ("-", one), ("-", tmp_path / "again"), ("-", two),
                   ("-", tmp_path / "link"))  # fmt: skip

    assert (found.taken, found.new, found.left_out) == (Amount(2, 15), Amount(2, 15), Amount())


def test_only_what_changed_since_the_last_success_is_new(tmp_path: Path) -> None:
    path = write(tmp_path / "old", 10)
    changed = int(path.stat().st_ctime)

    for since, new in ((changed, Amount(1, 10)), (changed + 1, Amount())):
        assert listed(since, ("-", path)).new == new


# The last success, and when the user's patterns changed beside it; from when on files are new.
BEGINS = {
    "older": (-10, -20, -10, False),
    "of-that-second": (-10, -10, 0, True),
    "newer": (-20, -10, 0, True),
    "gone": (-10, None, 0, True),
    "no-backup-yet": (None, -10, 0, False),
    "clock-set-back": (100, -10, 0, False),
}


@pytest.mark.parametrize(("success", "patterns", "since", "is_told"), BEGINS.values(), ids=BEGINS)
def test_all_may_be_new_where_the_patterns_are(
    tmp_path: Path, success: int | None, patterns: int | None, since: int, is_told: bool
) -> None:
    paths = Paths(tmp_path)
    file = write(paths.settings_directory / "patterns", 1)
    changed = int(file.stat().st_ctime)  # which cannot be set, so all else is moved against it
    now = changed - (patterns or 0)
    if patterns is None:
        file.unlink()
    if success is not None:
        paths.make_state()
        write_last(paths, Last(now + success, "ok"))

    found = preview.begin(paths, now)

    assert found == Preview(now + since if since else 0, patterns_changed=is_told)
    lines = "\n".join(telling.preview_lines(
        match_bundle(record(), "work"), found, Last(1, "ok"), PLAN, 0))
    assert ("the patterns changed since" in lines) is is_told


def test_what_is_left_out_is_looked_at_below_too(tmp_path: Path) -> None:
    for name, size in (("cache/a", 100), ("cache/deep/b", 20), ("x/c.tmp", 3), ("y/z", 7)):
        write(tmp_path / name, size)

    found = listed(0, ("x", tmp_path / "cache"), ("x", tmp_path / "x/c.tmp"),
                   ("-", tmp_path / "y/z"))  # fmt: skip

    assert found.left_out == Amount(3, 123)
    assert found.largest(1) == {str(tmp_path / "cache"): 120}


def test_a_directory_that_borg_looks_into_counts_only_what_it_lists(tmp_path: Path) -> None:
    write(tmp_path / "out/a", 100)
    write(tmp_path / "out/keep", 20)

    found = listed(0, ("x", tmp_path / "out"), ("x", tmp_path / "out/a"),
                   ("-", tmp_path / "out/keep"))  # fmt: skip

    assert (found.left_out, found.taken) == (Amount(1, 100), Amount(1, 20))


def test_what_is_gone_or_cannot_be_read_is_counted(tmp_path: Path) -> None:
    found = listed(0, ("-", tmp_path / "gone"), ("x", tmp_path / "gone-too"),
                   ("E", tmp_path / "locked"), ("E", tmp_path / "other"), ("-", "a\x00b"))

    assert (found.nameless, found.unreadable) == (2, 2)
    assert found.unreadable_such_as == str(tmp_path / "locked")


BORGS = {"does-not-run": ("exit 1", "borg-missing"),
         "fails": ("[ $1 = --version ] || exit 2; echo borg 1.4.0", "borg-failed")}  # fmt: skip


@pytest.mark.parametrize(("borg", "cause"), BORGS.values(), ids=BORGS)
def test_a_borg_that_does_not_run_is_told_as_before_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, borg: str, cause: str
) -> None:
    for module, name, does in (
        (command, "BORG", borg), (installed, "BORGMATIC", "echo 2.0.13"),
    ):  # fmt: skip
        write(tmp_path / name, 0).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
        monkeypatch.setattr(module, name, str(tmp_path / name))

    with pytest.raises(ServiceFailure) as failed:
        preview.look(Paths(tmp_path), match_bundle(record(), "work"))

    assert failed.value.cause == cause


def test_it_is_told_in_a_dozen_lines_at_most(tmp_path: Path) -> None:
    names = [write(tmp_path / f"d{number}\x1b[31m/x", number + 1) for number in range(9)]
    found = listed(1, *(("x", name.parent) for name in names), ("E", "/a\nb"))

    lines = list(telling.preview_lines(
        match_bundle(record(), "work"), found, Last(1, "locked"), PLAN, 512))

    assert len(lines) <= 12
    assert all(line.isprintable() and len(line) < 150 for line in lines)
    assert "as dom-work: backed up" in lines[0] and "the last run: locked" in lines[0]
    assert "every 6 hours (dom0 says so); due now" in lines[-1]


SIZES = {0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 3 * 1024**3: "3.0 GiB",
         5 * 1024**5: "5120.0 TiB"}  # fmt: skip


@pytest.mark.parametrize(("size", "told"), SIZES.items())
def test_sizes_are_told_as_a_person_reads_them(size: int, told: str) -> None:
    assert telling.as_size(size) == told
