"""A kit on paper: printed at a size, in a font, and looked at as a camera and a person would.

Runs on the host, with weasyprint in a browser's place; poppler makes pictures and text of it.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import weasyprint  # type: ignore[import-untyped]
from PIL import Image

from qborg_vault.kit import html, qr
from qborg_vault.kit.sheet import Page

SIZES = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}  # millimetres
# The family that the kit asks for, and a wide one where there is no other.
FONTS = {"Liberation": "", "DejaVu": (
    'body { font-family: "DejaVu Sans" !important } pre { font-family: "DejaVu Sans Mono" '
    "!important }")}  # fmt: skip
DPI = 150
_MARGIN = {"left": 14.0, "top": 10.0, "bottom": 10.0}
_WIDTH = 182.0  # of what is printed, on either size
_XML = "{http://zbar.sourceforge.net/2008/barcode}"


@dataclass(frozen=True)
class Paper:
    """The printed pages: a picture and the text of each."""

    size: str
    pictures: tuple[Path, ...]
    texts: tuple[str, ...]

    def codes(self, number: int) -> set[str]:
        """Answer what a camera reads off one page."""
        found = _run("zbarimg", "--quiet", "--xml", "-Sdisable", "-Sqrcode.enable",
                     str(self.pictures[number]), code=None)  # fmt: skip
        data = ElementTree.fromstring(found).iter(f"{_XML}data")
        return {each.text or "" for each in data}

    def is_clean(self, number: int) -> bool:
        """Answer whether nothing is printed where a page's margins are."""
        width, height = SIZES[self.size]
        with Image.open(self.pictures[number]) as picture:
            grey = picture.point(lambda shade: 255 if shade < 200 else 0)
        box = grey.getbbox()
        if box is None:
            return True
        left, top, right, bottom = (each * 25.4 / DPI for each in box)
        return (left >= _MARGIN["left"] - 0.5 and right <= _MARGIN["left"] + _WIDTH + 0.5
                and top >= _MARGIN["top"] - 0.5 and bottom <= height - _MARGIN["bottom"] + 0.5
                and right <= width)  # fmt: skip


def prints(pages: list[Page], size: str, font: str, folder: Path) -> Paper:
    """Print pages, each of which should fit."""
    document = html.render(pages, qr.svg)
    styles = [weasyprint.CSS(string=f"@page {{ size: {size} }} {FONTS[font]}")]
    weasyprint.HTML(string=document).write_pdf(folder / "kit.pdf", stylesheets=styles)
    _run("pdftoppm", "-gray", "-r", str(DPI), "-png", str(folder / "kit.pdf"), str(folder / "page"))
    pictures = tuple(sorted(folder.glob("page-*.png")))
    text = _run("pdftotext", "-layout", str(folder / "kit.pdf"), "-").decode()
    return Paper(size, pictures, tuple(text.removesuffix("\f").split("\f")))


def _run(*command: str, code: int | None = 0) -> bytes:
    """Run a program; `code` None: zbarimg's is 4 where a page has no code."""
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == code or code is None and done.returncode in (0, 4), done.stderr
    return done.stdout
