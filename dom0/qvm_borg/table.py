"""The status as a person reads it: a table, or where it does not fit, a few lines for each qube.

Runs in dom0; pure. A line comes with its colour, which only a terminal shows.
"""

import textwrap
from collections.abc import Iterator, Sequence

from qvm_borg.report import size
from qvm_borg.status import Row, Trouble, when

_COLUMNS = ("qube", "dom0 saw", "it claims", "server has", "size", "7 days", "proved", "escrow")
_NARROW = 80  # columns: below, no table

Lines = Iterator[tuple[str, str]]


def lines(found: Sequence[Row], width: int) -> Lines:
    """Yield the lines of these qubes and the colour of each; what to do stands below its qube."""
    cells = [tuple(_cells(row)) for row in found]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *cells, strict=True)]
    fits = max(_NARROW, sum(widths) + 2 * len(widths) - 2) <= width
    if fits and found:
        yield "  ".join(map(str.ljust, _COLUMNS, widths)).rstrip(), ""
    for row, cell in zip(found, cells, strict=True):
        colour = "bad" if row.needs_you else "good"
        yield "  ".join(map(str.ljust, cell, widths)).rstrip() if fits else row.qube, colour
        for title, text in () if fits else zip(_COLUMNS[1:], cell[1:], strict=True):
            yield f"  {title:<10}  {text}", ""
        yield from troubles(row.troubles, width)


def _cells(row: Row) -> Iterator[str]:
    yield row.qube
    for name, number in row.numbers.items():
        is_size = name in ("size", "grown") and number is not None
        yield size(number) if is_size else when(number)
    yield row.escrow


def troubles(found: Sequence[Trouble], width: int) -> Lines:
    """Yield what is wrong and what to do."""
    for each in found:
        for text, mark, colour in (
                (each.what, "! ", "hint" if each.chosen else "bad"), (each.do, "  ", "")):
            for line in textwrap.wrap(text, max(width - 6, 20), break_on_hyphens=False):
                yield f"    {mark}{line}", colour
                mark = "  "
