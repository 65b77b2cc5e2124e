"""A kit as one HTML file for paper: no script, nothing to load, every field escaped.

One printed page for each page of the sheet, A4 and Letter alike.
"""

import re
from collections.abc import Callable, Sequence
from html import escape

from qborg_vault.kit.sheet import Block, Code, Page

# The narrower and the shorter of A4 and Letter bound what fits: 210 by 279 millimetres. Each line's
# height is given, so that layout.py can count whatever the font is.
_STYLE = """
@page { margin: 10mm 14mm; }
* { box-sizing: border-box; overflow-wrap: anywhere; }
body { font: 10.3pt/4.6mm "Liberation Sans", "DejaVu Sans", sans-serif; color: #000; margin: 0; }
section { break-after: page; width: 182mm; display: flow-root; }
section:last-child { break-after: auto; }
h1 { font-size: 17pt; line-height: 7.5mm; margin: 0; border-bottom: 2pt solid #000;
     padding-bottom: 1mm; }
.below { font-size: 9pt; line-height: 4mm; color: #444; margin: 1mm 0 0; }
.number { float: right; color: #000; }
h2 { font-size: 11pt; line-height: 5mm; margin: 2.5mm 0 .5mm; }
p { margin: 0 0 1mm; }
pre { font: 9.6pt/4.1mm "Liberation Mono", "DejaVu Sans Mono", monospace; margin: 1mm 0 0;
      padding: 1.2mm 2.4mm; border-left: 1.2pt solid #999; background: #f6f6f6;
      white-space: pre-wrap; }
code { font-family: "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: 88%; }
.narrow { width: 132mm; font-size: 9.5pt; line-height: 4.2mm; }
.narrow pre { font-size: 8.8pt; line-height: 3.6mm; }
.codes { float: right; width: 44mm; padding-top: 3mm; }
figure { margin: 0 0 4mm; }
figure svg { width: 44mm; height: 44mm; display: block; }
figcaption { font-size: 8.5pt; line-height: 4mm; text-align: center; margin-top: 1mm; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Draw = Callable[[str], str]


def render(pages: Sequence[Page], draw: Draw) -> str:
    """Answer the document; `draw` makes the SVG of a QR code out of its text."""
    body = "".join(_page(page, f"page {number} of {len(pages)}", draw)
                   for number, page in enumerate(pages, 1))  # fmt: skip
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        f"<title>{escape(pages[0].title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _page(page: Page, number: str, draw: Draw) -> str:
    blocks = "".join(_block(block) for block in page.blocks)
    codes = "".join(_figure(code, draw) for code in page.codes)
    if codes:
        codes = f'<div class="codes">{codes}</div>'
    width = ' class="narrow"' if page.narrow else ""
    return (
        f'<section><h1>{escape(page.title)}</h1><p class="below"><span class="number">'
        f"{escape(number)}</span>{escape(page.below)}</p>"
        f"{codes}<div{width}>{blocks}</div></section>\n"
    )


def _block(block: Block) -> str:
    note = re.sub("`([^`]*)`", r"<code>\1</code>", escape(block.note))
    note = f"<p>{note}</p>" if note else ""
    lines = "\n".join(map(escape, block.typed))
    return f"<h2>{escape(block.heading)}</h2>{note}" + (f"<pre>{lines}</pre>" if lines else "")


def _figure(code: Code, draw: Draw) -> str:
    return f"<figure>{draw(code.text)}<figcaption>{escape(code.name)}</figcaption></figure>"
