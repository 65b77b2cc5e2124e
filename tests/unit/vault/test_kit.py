"""The kit: what is printed can be typed back, and no mistake in a row goes unnoticed."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qborg_borg import recovery_record
from qborg_vault.kit import html, paper_key, rows, sheet, text
from unit.vault import records, steps

# What borg 1.2 printed for one and the same key, as a file and as its paper form.
EXPORT = (Path(__file__).parent / "borg-key-export.txt").read_text(encoding="ascii")
PAPER = (Path(__file__).parent / "borg-paper-key.txt").read_text(encoding="ascii").splitlines()
ACCOUNT = recovery_record.parse(records.account())
WORK = recovery_record.parse(records.repository(key_export=EXPORT))
PAGES = sheet.pages(ACCOUNT, [WORK])
KIT = text.render(PAGES)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=400)


def test_the_paper_key_is_borgs_own() -> None:
    assert paper_key.lines(EXPORT) == PAPER


@given(WORDS)
def test_what_is_printed_can_be_typed_back(value: str) -> None:
    assert list(rows.read(rows.rows("label", value))) == [("label", value)]


@pytest.mark.parametrize("value", ["", "a b", "a\n", "\u00a0"])
def test_a_value_that_would_be_lost_is_not_printed(value: str) -> None:
    with pytest.raises(ValueError, match="one word"):
        rows.rows("label", value)


def test_the_whole_kit_can_be_typed_back() -> None:
    found = dict(rows.read(KIT.splitlines()))

    for name in ("host", "port", "account"):
        assert found[name] == ACCOUNT.values[name]
    assert f"{found['host-key-type']} {found['host-key']}" == ACCOUNT.values["host_key"]
    key = "".join(ACCOUNT.values["private_key"].split("\n")[1:-2])
    assert found["admin-key"] == key
    assert found["passphrase"] == WORK.values["passphrase"]
    assert found["repository"] == "dom-work"


ROWS = [number for number, line in enumerate(KIT.splitlines()) if re.search(r"\[....\]$", line)]
TYPED = ("host", "port", "account", "host-key", "admin-key", "passphrase")


@settings(max_examples=200)
@given(st.sampled_from(ROWS), st.integers(0, 200), st.sampled_from("0OolI1aZ-_/+="))
def test_one_wrong_character_in_any_row_is_noticed(number: int, place: int, wrong: str) -> None:
    lines = KIT.splitlines()
    place %= len(lines[number])
    if lines[number][place] in (wrong, " "):
        return
    lines[number] = lines[number][:place] + wrong + lines[number][place + 1 :]

    with pytest.raises(rows.KitRefused):
        list(rows.read(lines))


@pytest.mark.parametrize("number", ROWS)
def test_a_row_that_is_left_out_swapped_or_typed_twice_is_noticed(number: int) -> None:
    lines = KIT.splitlines()
    if "1/1" in lines[number]:  # a value of one row may be left out; then it is missing as a whole
        return

    for bent in (lines[:number] + lines[number + 1 :],
                 lines[:number] + [lines[number]] + lines[number:]):  # fmt: skip
        with pytest.raises(rows.KitRefused):
            list(rows.read(bent))


def test_a_flood_of_lines_ends() -> None:
    with pytest.raises(rows.KitRefused, match="too many"):
        list(rows.read("x" for _ in range(10**6)))


def test_the_text_is_narrow_and_plain() -> None:
    assert all(len(line) <= 86 for line in KIT.splitlines())
    assert re.fullmatch(r"[\n\f\x20-\x7e]*", KIT)


def test_its_steps_lead_borg_to_the_typed_key() -> None:
    steps.is_ssh_with(steps.ssh_of_borg(KIT.splitlines()), "admin-key")


def test_the_html_is_escaped_and_loads_nothing() -> None:
    page = sheet.Page("<a>", "&", (sheet.Block("<b>", "<i>", ("<u>\"'",)),),
                      (sheet.Code("<c>", "secret"),))  # fmt: skip

    document = html.render([page], lambda _text: "<svg/>")

    assert not re.search(r"<(?:script|link|img|iframe|object|a|i|u|b|c)\b|javascript|https?:",
                         document)  # fmt: skip
    assert "default-src &#x27;none&#x27;" in document and "&lt;u&gt;&quot;&#x27;" in document
    assert "secret" not in document


def test_a_page_shows_no_secret_when_it_is_printed_as_an_object() -> None:
    for page in PAGES:
        assert WORK.values["passphrase"][:20] not in repr(page)
        assert "b3BlbnNz" not in repr(page)
