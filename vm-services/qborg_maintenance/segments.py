"""What a repository of borg 1.x shows without its key: transactions, size, what was deleted.

Runs in the maintenance qube. The log's names, lengths and tags are in clear; all of it is the
server's word. A client that speaks borg's protocol itself can hide a deletion among new data.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from qborg_maintenance.files import BLOCK, Files

WEEK = 7 * 86400  # seconds
_NUMBER = re.compile("0|[1-9][0-9]{0,14}")
_INDEX = re.compile(r"(?:index|hints|integrity)\.([1-9][0-9]{0,14})")
# What `borg serve --append-only` adds at each commit; there is no file before the first backup.
_COMMIT = re.compile(
    rb"^transaction ([0-9]{1,15}), UTC time ([0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2})",
    re.MULTILINE)
_PER_FOLDER = re.compile(rb"^segments_per_dir = ([1-9][0-9]{0,8})$", re.MULTILINE)
_TAIL = 16  # blocks of that file: some 1,200 lines
_DIRECTORIES, _AT_ONCE = 99, 3  # of segments: looked into, and in one list of a thousand names each
_MAGIC, _HEADER, _DELETION = b"BORG_SEG", struct.Struct("<IIB"), 41  # bytes
_PUT, _DELETE, _PUT2 = 0, 1, 3
_MANIFEST = bytes(32)  # its id: each commit deletes it and puts it anew
_LOOKS, _FILES, _BYTES = 20, 500, 131072  # for deletions at once: calls; files and bytes in each


@dataclass(frozen=True)
class Log:
    """A repository's segments with their sizes, up to the newest transaction, and its commits.

    `time` in seconds since 1970 by the server's clock, 0 before the first backup; None: unknown.
    `grown`: bytes of the last seven days.
    """

    path: str
    per_folder: int
    transaction: int
    time: int | None
    grown: int | None
    sizes: Mapping[int, int]

    @property
    def size(self) -> int:
        """Answer the bytes of all that was committed."""
        return sum(self.sizes.values())


def read(files: Files, path: str, untrusted_config: bytes, now: int) -> Log | None:
    """Answer what is listed of a repository, None if the server does not show all of it."""
    there = files.sizes(path)
    folders = files.names(f"{path}/data")
    if there is None or folders is None:
        return None
    commits = _commits(files, f"{path}/transactions", there.get("transactions", 0))
    found = [int(match[1]) for match in map(_INDEX.fullmatch, there) if match]
    transaction = max([0, *found, *(number for number, _time in commits)])
    sizes = _sizes(files, f"{path}/data", sorted(folders), transaction)
    if sizes is None:
        return None
    told = _PER_FOLDER.search(untrusted_config)
    return Log(path, int(told[1]) if told else 1000, transaction,
               _newest(commits, "transactions" in there),
               _grown(sizes, commits, there.get("transactions", 0), now - WEEK), sizes)


def _commits(files: Files, path: str, size: int) -> list[tuple[int, int]]:
    """Answer number and time of the last commits, as far as they are the server's lines."""
    skip = max(0, size // BLOCK - _TAIL)
    untrusted_tail = files.part(path, skip, _TAIL + 1) if size else b""
    return [(int(number), when) for number, text in _COMMIT.findall(untrusted_tail)
            if (when := _seconds(text.decode("ascii"))) is not None]


def _seconds(text: str) -> int | None:
    try:
        return max(0, int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()))
    except ValueError:
        return None


def _newest(commits: Sequence[tuple[int, int]], any_yet: bool) -> int | None:
    if not any_yet:
        return 0
    return commits[-1][1] if commits else None


def _sizes(files: Files, path: str, folders: Sequence[bytes], newest: int) -> dict[int, int] | None:
    names = [name.decode() for name in folders if name.isdigit()]
    if len(names) > _DIRECTORIES:
        return None
    sizes: dict[int, int] = {}
    for begin in range(0, len(names), _AT_ONCE):
        some = files.sizes(*(f"{path}/{name}" for name in names[begin : begin + _AT_ONCE]))
        if some is None:
            return None
        sizes |= {int(name): size for name, size in some.items() if _NUMBER.fullmatch(name)}
    # What lies behind the newest transaction is not committed, and may go again.
    return {number: size for number, size in sizes.items() if number <= newest}


def _grown(
    sizes: Mapping[int, int], commits: Sequence[tuple[int, int]], length: int, since: int
) -> int | None:
    before = [number for number, when in commits if when < since]
    if not before and length > _TAIL * BLOCK:
        return None  # the lines that would tell were not read
    return sum(size for number, size in sizes.items() if number > max([1, *before]))


def deleted(files: Files, log: Log, after: int) -> int | None:
    """Answer the newest segment behind `after` that only deletes, 0 for none, None if unknown.

    A prune or a delete of archives leaves one, also in a repository that is append-only.
    """
    # Nothing but deletions: its length alone tells nearly all others apart.
    wanted = [number for number, size in sorted(log.sizes.items(), reverse=True)
              if number > after and size > len(_MAGIC) and (size - len(_MAGIC)) % _DELETION == 0]
    for look, group in enumerate(_groups(log, wanted)):
        if look == _LOOKS:
            return None
        untrusted = _heads(files, log, group)
        if untrusted is None:
            return None
        for number, untrusted_head in zip(group, untrusted, strict=True):
            if only_deletes(untrusted_head):
                return number
    return 0


def _groups(log: Log, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Answer the segments that can be read by one call: many small ones, or a large one."""
    group: list[int] = []
    for number in numbers:
        held = sum(log.sizes[each] for each in group)
        if group and (held + log.sizes[number] > _BYTES or len(group) == _FILES):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _heads(files: Files, log: Log, group: Sequence[int]) -> list[bytes] | None:
    places = [f"{log.path}/data/{number // log.per_folder}/{number}" for number in group]
    sizes = [log.sizes[number] for number in group]
    if len(group) == 1 and sizes[0] > BLOCK:
        return [files.part(places[0], 0, 1)]
    untrusted = files.joined(places)
    if len(untrusted) != sum(sizes):
        return None
    ends = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    return [untrusted[begin:end] for begin, end in zip(ends, ends[1:], strict=False)]


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
