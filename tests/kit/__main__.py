#!/usr/bin/python3
"""Draw the picture of a kit that docs/recovery.md shows: its secrets are made up, and open nothing.

Runs on a developer's host: `.venv/bin/python tests/kit`, after a change of how a kit looks.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / each) for each in ("dom0", "vm-services", "tests")]

from PIL import Image

from kit import printed
from kit.kits import KITS
from qborg_vault.kit import layout

_PIXELS = (880, 1244)  # of one page
_GREYS = 16


def main() -> None:
    """Put the pages of the account and of a repository side by side."""
    with tempfile.TemporaryDirectory() as folder:
        pages = layout.fitted(KITS["usual"]())
        paper = printed.prints(pages, "A4", "Liberation", Path(folder))
        drawn = Image.new("L", (2 * _PIXELS[0] + 10, _PIXELS[1]), 128)
        for place, path in enumerate(paper.pictures[1:]):
            with Image.open(path) as picture:
                small = picture.resize(_PIXELS, Image.Resampling.LANCZOS)
            drawn.paste(small, (place * (_PIXELS[0] + 10), 0))
    drawn.quantize(_GREYS).save(ROOT / "docs/recovery-kit.png", optimize=True)


if __name__ == "__main__":
    main()
