"""The typed form of a kit: short rows, each with a check that notices a typing error.

A value is cut into rows of at most 36 characters, printed in groups of six where it is
no plain name, and followed by four
hex digits in brackets: the beginning of the sha256 of label, row number and characters. So a row
that is wrong, missing, twice, or under another label is noticed, and named.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

from qborg_vault.kit.paper_key import grouped

_WIDTH = 36  # characters of a value in one row
_GROUP = 6
_PLAIN = 31  # a value of so few characters is a name, and is easier to read as a whole
_NAME = r"([a-z][a-z-]{0,19}) ([1-9][0-9]{0,2})/([1-9][0-9]{0,2})"
_ROW = re.compile(rf"{_NAME} +(\S(?:.{{0,80}}\S)?) +\[([0-9a-f]{{4}})\]")
_LIKE_A_ROW = re.compile(r"[a-zA-Z-]+ *[0-9]+ */.*|.*\[[^\]]{0,6}\]?")
_LINES = 20000


class KitRefused(ValueError):
    """A typed kit with a mistake; the message names the line, and repeats nothing of it."""


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


def read(untrusted_lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Answer label and value of each run of rows; lines that are no rows are left out.

    Upper and lower case count, spaces do not. Raises KitRefused at the first mistake.
    """
    parts: list[str] = []
    due = 1  # the number of the next row of the same value
    for number, untrusted_line in enumerate(untrusted_lines, 1):
        if number > _LINES:
            raise KitRefused("it has too many lines")
        untrusted_row = untrusted_line.strip()[:200]
        row = _ROW.fullmatch(untrusted_row)
        if row is None:
            if _LIKE_A_ROW.fullmatch(untrusted_row):
                raise KitRefused(f"line {number} is not typed as it is printed")
            continue
        label, position, total = row[1], int(row[2]), int(row[3])
        part = "".join(row[4].split())
        if row[5] != _check(f"{label} {position}/{total}", part):
            raise KitRefused(f"line {number} differs from what is printed: look at each character")
        if position != due or parts and (label, total) != run:
            raise KitRefused(f"before line {number} a line is missing")
        run = label, total
        parts.append(part)
        due = position + 1
        if position == total:
            yield label, "".join(parts)
            parts, due = [], 1
    if parts:
        raise KitRefused("the last line is missing")


def _check(name: str, part: str) -> str:
    return hashlib.sha256(f"{name} {part}".encode()).hexdigest()[:4]
