"""docs/architecture.svg shows each call of the services table, none more, and can be read.

What is drawn is read back from the picture's own lines and words, without the code that drew it.
"""

import re
from xml.etree import ElementTree

import pytest

from qborg_wire.services import SERVICES
from static import picture, tree

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = tree.text(picture.NAME)
EM = 0.53, 0.6  # how wide a letter is, plain and bold, in parts of its size
TITLES = {"maintenance qube": "maintenance", "clients: work, personal": "client",
          "vault": "vault", "worker": "worker"}  # fmt: skip
CALLS = {(name, caller.value, callee.value) for name, row in SERVICES.items()
         for caller in row.callers for callee in row.callees}  # fmt: skip


def elements(drawn: str, tag: str, kind: str) -> list[ElementTree.Element]:
    """Answer what is drawn of one kind."""
    found = ElementTree.fromstring(drawn).iter(SVG + tag)
    return [each for each in found if each.get("class") == kind]


def at(each: ElementTree.Element, key: str) -> int:
    """Answer a coordinate."""
    return int(each.get(key) or "")


def columns(drawn: str) -> dict[str, tuple[int, int]]:
    """Answer between which edges a person sees each qube: those of the box around its title."""
    boxes = elements(drawn, "rect", "")
    return {
        TITLES[title.text or ""]: (at(box, "x"), at(box, "x") + at(box, "width"))
        for title in elements(drawn, "text", "title") for box in boxes
        if title.text in TITLES and at(box, "x") < at(title, "x") < at(box, "x") + at(box, "width")
        and at(box, "y") < at(title, "y") < at(box, "y") + at(box, "height")
    }  # fmt: skip


def seen(drawn: str) -> list[tuple[str, str, str]]:
    """Answer every call that a person sees: the blue names in a box, the arrows below a name."""
    sides = columns(drawn)
    said = elements(drawn, "text", "gate")

    def whose(x: int) -> str:
        return next(role for role, (start, end) in sides.items() if start < x < end)

    orders = [(each.text or "", "dom0", whose(at(each, "x")))
              for each in elements(drawn, "text", "order")]  # fmt: skip
    named = {at(each, "y"): each.text or "" for each in said}
    gated = [(named[at(line, "y1") - 6], whose(at(line, "x1")), whose(at(line, "x2")))
             for line in elements(drawn, "line", "g") if at(line, "y1") - 6 in named]  # fmt: skip
    return orders + gated


def frames(drawn: str) -> list[tuple[str, float, float, float]]:
    """Answer where each line of text is, about: its words, left, right, height of its foot."""
    sizes = {"title": 16, "pale": 12, "order": 12, "what": 12}
    found = []
    for each in ElementTree.fromstring(drawn).iter(SVG + "text"):
        kind = (each.get("class") or "").partition(" ")[0]
        width = len(each.text or "") * sizes.get(kind, 13) * EM[kind in ("gate", "title")]
        for part in each:
            width += int(part.get("dx") or 0) + len(part.text or "") * 12 * EM[0]
        start = at(each, "x") - width * {"end": 1, "middle": 0.5}.get(
            each.get("text-anchor") or "", 0)  # fmt: skip
        found.append(("".join(each.itertext()), start, start + width, float(at(each, "y"))))
    return found


def test_the_picture_is_as_it_would_be_drawn_now() -> None:
    assert picture.drawn() == DRAWN, "run `make docs`"


def test_every_call_is_seen_once_and_no_other() -> None:
    assert sorted(seen(DRAWN)) == sorted(CALLS)


@pytest.mark.parametrize(
    ("was", "lie"),
    [(">RunBackup<", ">RunAnything<"), (">StoreRecord<", ">TakeRecord<"),
     (r'(<line) x1="(\d+)" (y1="\d+") x2="(\d+)" (y2="\d+" class="g")',
      r'\1 x1="\4" \3 x2="\2" \5')],
    ids=["another-order", "another-call", "the-other-way"],
)  # fmt: skip
def test_a_picture_that_lies_is_noticed(was: str, lie: str) -> None:
    drawn, changed = re.subn(was, lie, DRAWN, count=1)

    assert changed and sorted(seen(drawn)) != sorted(CALLS)


def test_no_text_is_over_another_one_or_outside() -> None:
    placed = frames(DRAWN)

    over = [
        (one[0], other[0])
        for number, one in enumerate(placed) for other in placed[number + 1:]
        if abs(one[3] - other[3]) < 13 and one[1] < other[2] and other[1] < one[2]
    ]  # fmt: skip
    assert not over
    assert not [each for each in placed if each[1] < 0 or each[2] > picture.WIDTH]


def test_what_a_call_is_named_does_not_cross_a_qubes_line() -> None:
    lines = [at(each, "x1") for each in elements(DRAWN, "line", "life")]
    gate = {"".join(each.itertext()) for each in elements(DRAWN, "text", "gate")}

    assert gate and not [(words, x) for words, start, end, _y in frames(DRAWN) for x in lines
                         if words in gate and start < x < end]  # fmt: skip


def test_each_call_between_qubes_says_what_it_carries() -> None:
    assert {name for name, caller, _callee in CALLS if caller != "dom0"} == set(picture.CARRIES)
