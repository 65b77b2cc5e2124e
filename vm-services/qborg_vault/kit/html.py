"""A kit as one HTML file for paper: no script, nothing to load, every field escaped.

One printed page for each page of the sheet, A4 and Letter alike.
"""

from collections.abc import Callable, Sequence
from html import escape

from qborg_vault.kit.sheet import Block, Code, Page

# The narrower and the shorter of A4 and Letter bound what fits: 210 by 279 millimetres.
_STYLE = """
@page { margin: 10mm 14mm; @bottom-right { content: counter(page) " / " counter(pages);
        font: 8pt sans-serif; } }
* { box-sizing: border-box; }
body { font: 9pt/1.25 "Liberation Sans", "DejaVu Sans", sans-serif; color: #000; margin: 0; }
section { break-after: page; max-width: 182mm; }
section:last-child { break-after: auto; }
h1 { font-size: 17pt; margin: 0; border-bottom: 2pt solid #000; padding-bottom: 1mm; }
h2 { font-size: 11pt; margin: 2.5mm 0 .7mm; }
p { margin: 0 0 1mm; }
.below { color: #444; margin: 1mm 0 0; }
pre { font: 7.8pt/1.22 "Liberation Mono", "DejaVu Sans Mono", monospace; margin: 1mm 0 0;
      padding: 1.5mm 2.5mm; border-left: 1.2pt solid #999; background: #f6f6f6; }
.text { width: 132mm; }
.codes { float: right; width: 46mm; padding-top: 3mm; }
figure { margin: 0 0 4mm; }
figure svg { width: 46mm; height: 46mm; display: block; }
figcaption { font-size: 8.5pt; text-align: center; margin-top: 1mm; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Draw = Callable[[str], str]


def render(pages: Sequence[Page], draw: Draw) -> str:
    """Answer the document; `draw` makes the SVG of a QR code out of its text."""
    body = "".join(_page(page, draw) for page in pages)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        f"<title>{escape(pages[0].title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _page(page: Page, draw: Draw) -> str:
    blocks = "".join(_block(block) for block in page.blocks)
    codes = "".join(_figure(code, draw) for code in page.codes)
    return (
        f'<section><h1>{escape(page.title)}</h1><p class="below">{escape(page.below)}</p>'
        f'<div class="codes">{codes}</div><div class="text">{blocks}</div></section>\n'
    )


def _block(block: Block) -> str:
    note = f"<p>{escape(block.note)}</p>" if block.note else ""
    lines = "\n".join(map(escape, block.typed))
    return f"<h2>{escape(block.heading)}</h2>{note}" + (f"<pre>{lines}</pre>" if lines else "")


def _figure(code: Code, draw: Draw) -> str:
    return f"<figure>{draw(code.text)}<figcaption>{escape(code.name)}</figcaption></figure>"
