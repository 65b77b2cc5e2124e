"""What a repository shows without its key, over both ways to files."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_maintenance import segments
from qborg_maintenance.bulk import Bulk
from qborg_maintenance.files import Files
from qborg_maintenance.segments import Search
from unit.maintenance import repositories as borg
from unit.maintenance.directory import WAYS, Account

PLACE, NOW = "repos/dom-work", 1795967431 + 3600
Way = Callable[[Account], Files]
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def _log(bulk: Bulk, now: int = NOW) -> segments.Log | None:
    lists = bulk.listings({PLACE: 12, f"{PLACE}/data": 6})
    config = bulk.files.read(f"{PLACE}/config") or borg.CONFIG.encode("ascii")
    heads = segments.heads(bulk, lists, {PLACE: config})
    return segments.logs(bulk, list(heads.values()), now).get(PLACE)


def _read(tmp_path: Path, way: Way, now: int = NOW) -> segments.Log:
    log = _log(Bulk(way(Account(tmp_path)), math.inf), now)
    assert log is not None
    return log


def _search(tmp_path: Path, way: Way, log: segments.Log, after: int = 0) -> Search:
    (found,) = segments.search(Bulk(way(Account(tmp_path)), math.inf), [(log, after)])
    return found


def _deleted(tmp_path: Path, way: Way, after: int = 0) -> int:
    log = _read(tmp_path, way)
    found = _search(tmp_path, way, log, after)
    assert found.until == log.transaction
    return found.deleted


# A moment of borg's own repository: the last commit's time, bytes, and what deletes.
MOMENTS = {
    "born": (borg.BORN, False, 547, 0),
    "an-archive": (borg.FIRST, True, 2266, 0),
    "two-archives": (borg.SECOND, True, 3984, 0),
    "one-deleted": (borg.DELETED, True, 4728, 10),
    "compacted-by-the-client": (borg.COMPACTED, True, 5382, 10),
    "emptied": (borg.EMPTIED, True, 6191, 17),
}  # fmt: skip


@ways
@pytest.mark.parametrize(("moment", "ever", "size", "deleted"), MOMENTS.values(), ids=MOMENTS)
def test_each_moment_of_borgs_own_repository(
    tmp_path: Path, way: Way, moment: int, ever: bool, size: int, deleted: int
) -> None:
    borg.golden(tmp_path / PLACE, moment)

    log = _read(tmp_path, way)

    assert log.transaction == moment and log.size == size
    assert log.time is not None and (log.time > NOW - 7200 if ever else log.time == 0)
    assert log.grown == size - 547
    assert _deleted(tmp_path, way) == deleted


@ways
def test_a_deletion_that_was_seen_is_not_looked_for_again(tmp_path: Path, way: Way) -> None:
    borg.golden(tmp_path / PLACE, borg.COMPACTED)

    assert _deleted(tmp_path, way, borg.DELETED) == 0


def test_what_was_written_earlier_than_seven_days_ago_is_no_growth(tmp_path: Path) -> None:
    borg.golden(tmp_path / PLACE)

    assert _read(tmp_path, WAYS["shell"], NOW + 8 * 86400).grown == 0


@ways
def test_what_is_not_committed_yet_counts_for_nothing(tmp_path: Path, way: Way) -> None:
    borg.made(tmp_path / PLACE, borg.puts(borg.ONE))
    size = _read(tmp_path, way).size
    borg.write(tmp_path / PLACE, "data/0/3", borg.deletes(borg.ONE))

    assert _read(tmp_path, way).size == size and _deleted(tmp_path, way) == 0


# The one segment, and whether archives were deleted by it.
SEGMENTS = {
    "one": (borg.deletes(borg.ONE), True),
    "several": (borg.deletes(borg.ONE, borg.TWO), True),
    "the-manifest-too": (borg.deletes(borg.MANIFEST, borg.ONE), True),
    "thousands": (borg.deletes(*[borg.ONE] * 3000), True),
    "more-than-can-be-fetched": (borg.deletes(*[borg.ONE] * 9000), True),
    "the-manifest": (borg.deletes(borg.MANIFEST), False),
    "data-of-that-length": (borg.puts(borg.ONE, 41 * 3), False),
    "large-data-of-that-length": (borg.puts(borg.ONE, 41 * 9000), False),
    "a-checkpoint": (borg.deletes(borg.ONE) + borg.puts(borg.TWO)[8:], False),
    "damaged": (b"BORG_SEG" + bytes(41), False),
    "damaged-lengths": (b"BORG_SEG" + b"\xff" * 41, False),
    "of-another-program": (b"x" * 49, False),
    "empty": (b"", False),
}


@ways
@pytest.mark.parametrize(("segment", "is_one"), SEGMENTS.values(), ids=SEGMENTS)
def test_a_deletion_is_told_by_what_the_segment_holds(
    tmp_path: Path, way: Way, segment: bytes, is_one: bool
) -> None:
    borg.made(tmp_path / PLACE, borg.puts(borg.ONE), segment, borg.puts(borg.MANIFEST))

    assert _deleted(tmp_path, way) == (3 if is_one else 0)


@ways
def test_thousands_of_segments_take_a_few_calls(tmp_path: Path, way: Way) -> None:
    segment = borg.puts(borg.TWO), borg.deletes(borg.MANIFEST), borg.puts(borg.MANIFEST), b"C" * 17
    borg.made(tmp_path / PLACE, *segment * 1000)
    account = Account(tmp_path)
    bulk = Bulk(way(account), math.inf)

    log = _log(bulk)
    assert log is not None and len(log.sizes) == 4002 and account.asked <= 8
    account.asked = 0
    assert segments.search(bulk, [(log, 0)]) == [Search(0, 4001)]
    assert account.asked == math.ceil(1000 / bulk.files.AT_ONCE)
    account.asked = 0
    assert segments.search(bulk, [(log, 3998)]) == [Search(0, 4001)] and account.asked == 1


@pytest.mark.parametrize("bad", ["shorter", "longer", "gone"])
@pytest.mark.parametrize("size", [1, 2000], ids=["small", "large"])
def test_the_search_ends_with_what_is_not_as_it_was_listed(
    tmp_path: Path, bad: str, size: int
) -> None:
    segment = borg.deletes(*[borg.MANIFEST] * size)
    borg.made(tmp_path / PLACE, *[segment] * 4)
    log, place = _read(tmp_path, WAYS["shell"]), tmp_path / PLACE / "data/0/4"
    if bad == "gone":
        place.unlink()
    else:
        place.write_bytes(segment[:100 * size // 2000] if bad == "shorter" else segment * 2)

    until = 5 if bad == "longer" and size > 1 else 3  # of a large one only the begin is read
    assert _search(tmp_path, WAYS["shell"], log) == Search(0, until)


@ways
def test_a_search_that_is_too_long_for_once_goes_on(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_CALLS", 1)
    borg.made(tmp_path / PLACE, *[borg.deletes(borg.ONE)] * 600)
    log = _read(tmp_path, way)

    first = _search(tmp_path, way, log)
    assert first == Search(501, 501)
    assert _search(tmp_path, way, log, first.until) == Search(601, 601)


@ways
@pytest.mark.parametrize("gone", ["data", "."])
def test_what_cannot_be_listed_is_unknown(tmp_path: Path, way: Way, gone: str) -> None:
    borg.made(tmp_path / PLACE)
    (tmp_path / PLACE / gone).rename(tmp_path / "away")

    assert _log(Bulk(way(Account(tmp_path)), math.inf)) is None


LINE = b"transaction %d, UTC time 2026-01-31T12:00:00.000001\n"
TRANSACTIONS = {
    "more-words": LINE % 2 + b"transaction 99, UTC time 2026-01-31T12:00:00 \x1b[2J\n",
    "no-moment": LINE % 2 + b"transaction 3, UTC time 2026-13-31T12:00:00.000001\n",
    "cut": LINE % 2 + LINE[:20] % 3,
    "old-and-long": b"".join(LINE % number for number in range(3, 3000)) + LINE % 2,
}  # fmt: skip


@pytest.mark.parametrize("text", TRANSACTIONS.values(), ids=TRANSACTIONS)
def test_the_lines_of_the_log_may_be_anything(tmp_path: Path, text: bytes) -> None:
    borg.made(tmp_path / PLACE, borg.puts(borg.ONE))
    borg.write(tmp_path / PLACE, "transactions", text)

    assert _read(tmp_path, WAYS["shell"]).time == 1769860800


def test_without_any_readable_line_the_time_is_unknown(tmp_path: Path) -> None:
    borg.made(tmp_path / PLACE, borg.puts(borg.ONE))
    borg.write(tmp_path / PLACE, "transactions", b"\0" * 100)

    assert _read(tmp_path, WAYS["shell"]).time is None


def test_growth_that_only_unread_lines_would_tell_is_unknown(tmp_path: Path) -> None:
    borg.made(tmp_path / PLACE, borg.puts(borg.ONE))
    borg.write(tmp_path / PLACE, "transactions", b"".join(LINE % each for each in range(3000)))

    assert _read(tmp_path, WAYS["shell"], 1769860800).grown is None


def test_more_directories_than_are_looked_into_leave_it_unknown(tmp_path: Path) -> None:
    borg.made(tmp_path / PLACE)
    for number in range(100):
        (tmp_path / PLACE / f"data/{number}").mkdir(exist_ok=True)

    assert _log(Bulk(WAYS["shell"](Account(tmp_path)), math.inf)) is None


def test_another_number_of_segments_in_a_directory_is_borgs_to_tell(tmp_path: Path) -> None:
    borg.made(tmp_path / PLACE, borg.deletes(borg.ONE))
    (tmp_path / PLACE / "data/0").rename(tmp_path / "0")
    for number in range(3):
        data = (tmp_path / f"0/{number}").read_bytes()
        borg.write(tmp_path / PLACE, f"data/{number // 2}/{number}", data)
    config = borg.CONFIG.replace("dir = 1000", "dir = 2")
    borg.write(tmp_path / PLACE, "config", config.encode("ascii"))

    assert _deleted(tmp_path, WAYS["shell"]) == 2
