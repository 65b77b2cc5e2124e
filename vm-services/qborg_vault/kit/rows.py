"""The typed form of a kit: short rows, each with a check that notices a typing error.

A value is cut into rows of at most 36 characters, printed in groups of six where it is no plain
name, and followed by four hex digits in brackets: the beginning of the sha256 of label, row number
and characters. So a row that is wrong, missing, twice, or under another label is noticed, and
named. A key stands there in borg's own form instead; its lines are read as well.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from qborg_vault.kit import paper_key
from qborg_vault.kit.paper_key import grouped

KEY_ID, KEY = "key-id", "key"  # the labels under which borg's lines are answered
_WIDTH = 36  # characters of a value in one row
_GROUP = 6
_PLAIN = 31  # a value of so few characters is a name, and is easier to read as a whole
_NAME = r"([a-z][a-z-]{0,19}) +([1-9][0-9]{0,2})/([1-9][0-9]{0,2})"
_ROW = re.compile(rf"{_NAME} +(\S(?:.{{0,80}}\S)?) *\[([0-9a-f]{{4}})\]")
_LIKE_A_ROW = re.compile(
    r"[a-zA-Z-]+ *[0-9]+ */.*|.*\[[^\]]{0,6}\]?|id *:.*|[0-9]{1,3} *:.*- *\S{1,4}")
_LINES = 20000
_TOLD = 20  # lines that one message names


class KitRefused(ValueError):
    """A typed kit with a mistake; the message names the line, and repeats nothing of it."""


@dataclass(frozen=True)
class Value:
    """A value that was typed, and the line on which its last row stands."""

    label: str
    text: str = field(repr=False)
    line: int


@dataclass(frozen=True)
class _Row:
    """One row: which one of how many of a label's."""

    label: str
    position: int
    total: int
    part: str = field(repr=False)


def rows(label: str, value: str) -> list[str]:
    """Answer a value's rows; raises ValueError for one with white space, which would be lost."""
    if not value or re.search(r"\s", value):
        raise ValueError("a value of a kit is one word")
    parts = [value[start : start + _WIDTH] for start in range(0, len(value), _WIDTH)]
    names = [f"{label} {number}/{len(parts)}" for number in range(1, len(parts) + 1)]
    size = _GROUP if len(value) > _PLAIN else _WIDTH
    return [
        f"{name:<17} {grouped(part, size):<41} [{_check(name, part)}]"
        for name, part in zip(names, parts, strict=True)
    ]


def read(untrusted_lines: Iterable[str]) -> list[Value]:
    """Answer the value of each run of rows; lines that are no rows are left out.

    Upper and lower case count, spaces do not. Raises KitRefused, which names the lines.
    """
    reader = _Reader()
    for number, untrusted_line in enumerate(untrusted_lines, 1):
        if number > _LINES:
            raise KitRefused("it has too many lines")
        reader.take(number, untrusted_line.strip()[:200])
    return reader.finished()


class _Reader:
    """The values so far, the rows of one that is not whole yet, and the lines with mistakes."""

    def __init__(self) -> None:
        self._values: list[Value] = []
        self._run: list[_Row] = []
        self._wrong: list[int] = []
        self._gaps: list[int] = []  # lines before which one is missing
        self._key_lines = 0  # as many as the line with the id has told

    def take(self, number: int, untrusted_row: str) -> None:
        """Take one line."""
        try:
            row = _row(untrusted_row) or self._row_of_key(untrusted_row)
        except ValueError:
            self._wrong.append(number)
            return
        if row is not None:
            self._put(number, row)
        elif _LIKE_A_ROW.fullmatch(untrusted_row):
            self._wrong.append(number)

    def finished(self) -> list[Value]:
        """Answer the values; raises KitRefused."""
        told = ", ".join(map(str, self._wrong[:_TOLD]))
        if len(self._wrong) > 1:
            raise KitRefused(f"lines {told} are not as printed: look at each character")
        if self._wrong:
            raise KitRefused(f"line {told} is not as printed: look at each character")
        if self._gaps:
            raise KitRefused(f"before line {self._gaps[0]} a line is missing")
        if self._run:
            raise KitRefused("the last line is missing")
        return self._values

    def _row_of_key(self, untrusted_row: str) -> _Row | None:
        head = paper_key.read_head(untrusted_row)
        if head is not None:
            self._key_lines = head[0]
            return _Row(KEY_ID, 1, 1, head[1])
        line = paper_key.read_line(untrusted_row)
        return None if line is None else _Row(KEY, line[0], self._key_lines, line[1])

    def _put(self, number: int, row: _Row) -> None:
        before, self._run = self._run, []
        due = (before[0].label, len(before) + 1, before[0].total) if before else (
            row.label, 1, row.total)
        if (row.label, row.position, row.total) != due or row.position > row.total:
            self._gaps.append(number)
        elif row.position < row.total:
            self._run = [*before, row]
        else:
            text = "".join(each.part for each in (*before, row))
            self._values.append(Value(row.label, text, number))


def _row(untrusted_row: str) -> _Row | None:
    """Answer what a row says, None for a line that is none; raises ValueError."""
    match = _ROW.fullmatch(untrusted_row)
    if match is None:
        return None
    row = _Row(match[1], int(match[2]), int(match[3]), "".join(match[4].split()))
    if match[5] != _check(f"{row.label} {row.position}/{row.total}", row.part):
        raise ValueError("the check does not fit")
    return row


def _check(name: str, part: str) -> str:
    return hashlib.sha256(f"{name} {part}".encode()).hexdigest()[:4]
