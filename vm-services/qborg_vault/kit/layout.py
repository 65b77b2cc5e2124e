"""How much stands on one printed page, A4 or Letter: what is longer goes on, on a page of its own.

The heights are those of html.py, in millimetres; its lines are as high as it says whatever the
font is. A test prints the pages and counts them.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import replace

from qborg_vault.kit.sheet import Block, Page

CODES = 4  # beside the text of one page
_ROOM = 256.0  # of Letter's 279, less the margins and some slack
_TITLE, _BELOW, _HEADING = 7.5, 4.0, 8.0
_NOTE, _TYPED = {True: 4.6, False: 4.2}, {True: 4.1, False: 3.6}  # without codes and beside them
_AROUND = {"title": 3.0, "note": 1.0, "typed": 3.4}
_TITLE_WIDTH, _BELOW_WIDTH = 42, 88  # characters of the widest fonts that are likely
_MORE = ", continued"
_NOTE_WIDTH = {True: 82, False: 62}


def fitted(pages: Sequence[Page]) -> list[Page]:
    """Answer the pages, those that are too long in several."""
    return [each for page in pages for each in _fitted(page)]


def _fitted(page: Page) -> list[Page]:
    texts = _columns(page)
    codes = [page.codes[start : start + CODES] for start in range(0, len(page.codes), CODES)]
    made = []
    for number in range(max(len(texts), len(codes))):
        made.append(replace(
            page, title=page.title if number == 0 else f"{page.title}{_MORE}",
            blocks=tuple(texts[number]) if number < len(texts) else (),
            codes=codes[number] if number < len(codes) else (),
            narrow=bool(codes),
        ))  # fmt: skip
    return made


def _columns(page: Page) -> list[list[Block]]:
    """Answer the blocks of each printed page."""
    room, wide = _ROOM - _head(page), not page.codes
    columns: list[list[Block]] = [[]]
    left = room
    for block in page.blocks:
        if columns[-1] and _height(block, wide) > left:
            columns.append([])
            left = room
        while _height(block, wide) > left:
            excess = _height(block, wide) - left
            fits = len(block.typed) - int(excess / _TYPED[wide]) - 1
            columns[-1].append(replace(block, typed=block.typed[:fits]))
            heading = f"{block.heading.removesuffix(_MORE)}{_MORE}"
            block = Block(heading, "", block.typed[fits:])
            columns.append([])
            left = room
        columns[-1].append(block)
        left -= _height(block, wide)
    return columns


def _head(page: Page) -> float:
    title = _lines(f"{page.title}{_MORE}", _TITLE_WIDTH) * _TITLE
    return title + _AROUND["title"] + _lines(page.below, _BELOW_WIDTH) * _BELOW


def _height(block: Block, wide: bool) -> float:
    note = _lines(block.note, _NOTE_WIDTH[wide]) * _NOTE[wide] + _AROUND["note"] * bool(block.note)
    typed = len(block.typed) * _TYPED[wide] + _AROUND["typed"] * bool(block.typed)
    return _HEADING + note + typed


def _lines(text: str, width: int) -> int:
    return len(textwrap.wrap(text, width))
