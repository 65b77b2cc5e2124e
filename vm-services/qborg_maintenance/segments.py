"""What a repository of borg 1.x shows without its key: transactions, size, what was deleted.

Runs in the maintenance qube. The log's names, lengths and tags are in clear; all of it is the
server's word. A client that speaks borg's protocol itself can hide a deletion among new data.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from qborg_maintenance.bulk import Bulk, Listing
from qborg_maintenance.files import BLOCK

WEEK = 7 * 86400  # seconds
ID = re.compile(rb"^id = ([0-9a-f]{64})$", re.MULTILINE)
_NUMBER = re.compile("0|[1-9][0-9]{0,14}")
_INDEX = re.compile(r"(?:index|hints|integrity)\.([1-9][0-9]{0,14})")
# What `borg serve --append-only` adds at each commit; there is no file before the first backup.
_COMMIT = re.compile(
    rb"^transaction ([0-9]{1,15}), UTC time ([0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2})",
    re.MULTILINE)
_PER_FOLDER = re.compile(rb"^segments_per_dir = ([1-9][0-9]{0,8})$", re.MULTILINE)
_TAIL = 16 * BLOCK  # bytes of that file: some 1,200 lines
_DIRECTORIES, _MORE = 99, 10  # of segments: looked into; names in one that are not expected
_MAGIC, _HEADER, _DELETION = b"BORG_SEG", struct.Struct("<IIB"), 41  # bytes
_PUT, _DELETE, _PUT2 = 0, 1, 3
_MANIFEST = bytes(32)  # its id: each commit deletes it and puts it anew
# For deletions at once: calls, bytes in each, of what counts for less, of a segment's begin.
_CALLS, _CALL, _LEAST, _PIECE = 20, 200_000, 400, 8 * BLOCK


@dataclass(frozen=True)
class Log:
    """A repository's segments with their sizes, up to the newest transaction, and its commits.

    `time` in seconds since 1970 by the server's clock, 0 before the first backup; None: unknown.
    `grown`: bytes of the last seven days.
    """

    path: str
    repository_id: str
    per_folder: int
    transaction: int
    time: int | None
    grown: int | None
    sizes: Mapping[int, int]

    @property
    def size(self) -> int:
        """Answer the bytes of all that was committed."""
        return sum(self.sizes.values())

    def place(self, number: int) -> str:
        """Answer where a segment lies."""
        return f"{self.path}/data/{number // self.per_folder}/{number}"


@dataclass(frozen=True)
class Head:
    """What is known of a repository before its segments are listed.

    `length` in bytes of the list of commits, None if there is no list; `commits`: its last lines.
    """

    path: str
    repository_id: str
    per_folder: int
    length: int | None
    commits: Sequence[tuple[int, int]]
    transaction: int
    folders: Sequence[str]

    @property
    def expected(self) -> dict[str, int]:
        """Answer how many segments may lie in each directory: the newest is never full."""
        room = {folder: self.transaction + 1 - int(folder) * self.per_folder
                for folder in self.folders}
        # A backup that runs has written some more.
        return {f"{self.path}/data/{folder}": max(0, min(count, self.per_folder)) + _MORE
                for folder, count in room.items()}

    def log(self, lists: Mapping[str, Listing], now: int) -> Log | None:
        """Answer the segments as they are listed, None if a directory is not."""
        if not set(self.expected) <= set(lists):
            return None
        found = {int(name): size for path in self.expected
                 for name, size in lists[path].sizes.items() if _NUMBER.fullmatch(name)}
        # What lies behind the newest transaction is not committed, and may go again.
        sizes = {number: size for number, size in found.items() if number <= self.transaction}
        return Log(self.path, self.repository_id, self.per_folder, self.transaction,
                   self._newest(), self._grown(sizes, now - WEEK), sizes)

    def _newest(self) -> int | None:
        if self.length is None:
            return 0
        return self.commits[-1][1] if self.commits else None

    def _grown(self, sizes: Mapping[int, int], since: int) -> int | None:
        before = [number for number, when in self.commits if when < since]
        if not before and (self.length or 0) > _TAIL:
            return None  # the lines that would tell were not read
        return sum(size for number, size in sizes.items() if number > max([1, *before]))


def heads(
    bulk: Bulk, lists: Mapping[str, Listing], untrusted_configs: Mapping[str, bytes]
) -> dict[str, Head]:
    """Answer the head of each repository, by its path, less those of which not all is shown."""
    there = {path: lists[path].sizes for path in untrusted_configs if path in lists}
    lengths = {path: sizes["transactions"] for path, sizes in there.items()
               if "transactions" in sizes}
    tails = bulk.contents({f"{path}/transactions": length for path, length in lengths.items()},
                          _TAIL, last=True)
    found = {}
    for path, names in there.items():
        data, born = lists.get(f"{path}/data"), ID.search(untrusted_configs[path])
        folders = [name for name in data.folders if _NUMBER.fullmatch(name)] if data else []
        untrusted_tail = tails.get(f"{path}/transactions", None if path in lengths else b"")
        if born and 0 < len(folders) <= _DIRECTORIES and untrusted_tail is not None:
            commits = _commits(untrusted_tail)
            indexes = [int(match[1]) for match in map(_INDEX.fullmatch, names) if match]
            told = _PER_FOLDER.search(untrusted_configs[path])
            found[path] = Head(
                path, born[1].decode("ascii"), int(told[1]) if told else 1000, lengths.get(path),
                commits, max([0, *indexes, *(number for number, _time in commits)]), folders)
    return found


def logs(bulk: Bulk, some: Sequence[Head], now: int) -> dict[str, Log]:
    """Answer what is listed of each repository, by its path, less those that are not all listed."""
    lists = bulk.listings({path: count for head in some for path, count in head.expected.items()})
    found = {head.path: head.log(lists, now) for head in some}
    return {path: log for path, log in found.items() if log is not None}


def _commits(untrusted_tail: bytes) -> list[tuple[int, int]]:
    """Answer number and time of the last commits, as far as they are the server's lines."""
    return [(int(number), when) for number, text in _COMMIT.findall(untrusted_tail)
            if (when := _seconds(text.decode("ascii"))) is not None]


def _seconds(text: str) -> int | None:
    try:
        return max(0, int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()))
    except ValueError:
        return None


@dataclass(frozen=True)
class Search:
    """The newest segment that only deletes, 0 for none; and the last one that was looked into."""

    deleted: int
    until: int


def search(bulk: Bulk, wanted: Sequence[tuple[Log, int]]) -> list[Search]:
    """Look in each log, the oldest first, for segments behind a number that only delete.

    A prune or a delete of archives leaves one, also in a repository that is append-only. What is
    too much for once, or not as it was listed, ends the search.
    """
    numbers = [_candidates(log, after) for log, after in wanted]
    sizes = {log.place(number): log.sizes[number]
             for (log, _after), some in zip(wanted, numbers, strict=True)
             for number in _at_once(log, some)}
    untrusted = bulk.contents(sizes, _PIECE)
    return [_search(log, some, untrusted)
            for (log, _after), some in zip(wanted, numbers, strict=True)]


def _candidates(log: Log, after: int) -> list[int]:
    # Nothing but deletions: its length alone tells nearly all others apart.
    return [number for number, size in sorted(log.sizes.items())
            if number > after and size > len(_MAGIC) and (size - len(_MAGIC)) % _DELETION == 0]


def _at_once(log: Log, numbers: Sequence[int]) -> Iterator[int]:
    left = _CALLS * _CALL
    for number in numbers:
        size = log.sizes[number]
        left -= _CALL if size > _PIECE else max(size, _LEAST)
        if left < 0:
            break
        yield number


def _search(log: Log, numbers: Sequence[int], untrusted: Mapping[str, bytes]) -> Search:
    deleted = 0
    for number in numbers:
        untrusted_begin = untrusted.get(log.place(number), b"")
        if len(untrusted_begin) != min(log.sizes[number], _PIECE):
            return Search(deleted, number - 1)
        if only_deletes(untrusted_begin):
            deleted = number
    return Search(deleted, log.transaction)


def only_deletes(untrusted_segment: bytes) -> bool:
    """Tell whether the begin of a segment deletes more than the manifest, and adds nothing."""
    if not untrusted_segment.startswith(_MAGIC):
        return False
    found, at = False, len(_MAGIC)
    while at + _HEADER.size <= len(untrusted_segment):
        _crc, size, tag = _HEADER.unpack_from(untrusted_segment, at)
        if tag in (_PUT, _PUT2) or size < _HEADER.size:
            return False
        name = untrusted_segment[at + _HEADER.size : at + size]
        found = found or tag == _DELETE and name != _MANIFEST[: len(name)]
        at += size
    return found
