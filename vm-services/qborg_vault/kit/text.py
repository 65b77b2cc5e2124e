"""A kit as plain text: a form feed between pages, narrow enough for any paper.

What a person types back is read from it.
"""

import textwrap
from collections.abc import Sequence

from qborg_vault.kit.sheet import Block, Page

WIDTH = 78


def render(pages: Sequence[Page]) -> str:
    """Answer the whole kit; what its codes hold stands in the rows too."""
    return "\f\n".join(_page(page, f"page {number} of {len(pages)}")
                       for number, page in enumerate(pages, 1))  # fmt: skip


def _page(page: Page, number: str) -> str:
    below = textwrap.fill(f"{number}: {page.below}", WIDTH)
    head = f"{page.title}\n{'=' * len(page.title)}\n{below}\n"
    return head + "".join(_block(block) for block in page.blocks)


def _block(block: Block) -> str:
    note = f"{textwrap.fill(block.note, WIDTH)}\n" if block.note else ""
    typed = "".join(f"    {line}\n" for line in block.typed)
    gap = "\n" if typed else ""
    return f"\n{block.heading}\n{'-' * len(block.heading)}\n{note}{gap}{typed}"
