"""The kit on paper, A4 and Letter: as many pages as it says, nothing cut, every code readable."""

from pathlib import Path

import pytest
from PIL import Image

from kit import kits, printed
from kit.kits import KITS
from kit.printed import Paper
from qborg_vault.kit import layout
from qborg_vault.kit.sheet import Page

ROOT = Path(__file__).resolve().parents[2]
# The larger size in the font that the kit asks for, the smaller one in a font that is wide. Forty
# pages that differ by their names are printed once.
PAPERS = [(name, *paper) for name in KITS for paper in (("A4", "Liberation"), ("Letter", "DejaVu"))
          if (name, paper[0]) != ("forty", "A4")]


@pytest.fixture(scope="module", params=PAPERS, ids="-".join)
def sheets(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Page], Paper]:
    """The pages of a kit, and what they are on paper."""
    name, size, font = request.param
    pages = layout.fitted(KITS[name]())
    return pages, printed.prints(pages, size, font, tmp_path_factory.mktemp("paper"))


def _squeezed(text: str) -> str:
    return "".join(text.split())


def test_each_page_is_one_page_of_paper_and_its_margins_are_white(
    sheets: tuple[list[Page], Paper]
) -> None:
    pages, paper = sheets

    assert len(paper.texts) == len(paper.pictures) == len(pages)
    for number, (page, text) in enumerate(zip(pages, paper.texts, strict=True)):
        assert f"page {number + 1} of {len(pages)}" in text
        assert _squeezed(page.title) in _squeezed(text)
        assert paper.is_clean(number), f"page {number + 1}"


def test_every_typed_line_stands_on_its_page_in_one_line(sheets: tuple[list[Page], Paper]) -> None:
    pages, paper = sheets

    for page, text in zip(pages, paper.texts, strict=True):
        lines = [_squeezed(line) for line in text.split("\n")]
        for typed in (line for block in page.blocks for line in block.typed):
            assert any(line.startswith(_squeezed(typed)) for line in lines), len(typed)


def test_every_code_is_read_and_says_what_it_should(sheets: tuple[list[Page], Paper]) -> None:
    pages, paper = sheets

    for number, page in enumerate(pages):
        assert paper.codes(number) == {code.text for code in page.codes}, f"page {number + 1}"


def test_no_row_and_no_code_is_lost_between_the_pages() -> None:
    for make in KITS.values():
        whole = make()
        fitted = layout.fitted(whole)
        for part in ("codes", "typed"):
            assert _all(fitted, part) == _all(whole, part)


def _all(pages: list[Page], part: str) -> list[object]:
    if part == "codes":
        return [code for page in pages for code in page.codes]
    return [line for page in pages for block in page.blocks for line in block.typed]


def test_what_is_usual_takes_a_page_for_each() -> None:
    assert len(layout.fitted(KITS["usual"]())) == 3
    assert len(layout.fitted(KITS["forty"]())) == 42
    assert len(kits.LONGEST) == 40


def test_what_does_not_fit_would_be_seen(tmp_path: Path) -> None:
    pages = KITS["rsa-admin-key"]()

    paper = printed.prints(pages, "A4", "Liberation", tmp_path)

    assert len(paper.texts) > len(pages)
    assert paper.is_clean(0)
    with Image.open(paper.pictures[0]) as picture:
        picture.putpixel((picture.width - 40, 900), 0)
        picture.save(paper.pictures[0])
    assert not paper.is_clean(0)


def test_the_picture_in_the_documents_is_small() -> None:
    assert 20_000 < (ROOT / "docs/recovery-kit.png").stat().st_size < 300_000
