"""The kit: what is printed can be typed back, and no mistake in a row goes unnoticed."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_borg import recovery_record
from qborg_service.failure import ServiceFailure
from qborg_vault.kit import html, layout, paper_key, qr, rows, sheet, text, typed
from unit.vault import records, steps

# What borg 1.2 printed for one and the same key, as a file and as its paper form.
EXPORT = (Path(__file__).parent / "borg-key-export.txt").read_text(encoding="ascii")
PAPER = (Path(__file__).parent / "borg-paper-key.txt").read_text(encoding="ascii").splitlines()
ACCOUNT = recovery_record.parse(records.account())
WORK = recovery_record.parse(records.repository(key_export=EXPORT))
PAGES = layout.fitted(sheet.pages(ACCOUNT, [WORK]))
KIT = text.render(PAGES)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=400)


def test_the_paper_key_is_borgs_own() -> None:
    assert paper_key.lines(EXPORT) == PAPER


@given(WORDS)
def test_what_is_printed_can_be_typed_back(value: str) -> None:
    [found] = rows.read(rows.rows("label", value))
    assert (found.label, found.text) == ("label", value)


@pytest.mark.parametrize("value", ["", "a b", "a\n", "\u00a0"])
def test_a_value_that_would_be_lost_is_not_printed(value: str) -> None:
    with pytest.raises(ValueError, match="one word"):
        rows.rows("label", value)


def test_a_flood_of_lines_ends() -> None:
    with pytest.raises(rows.KitRefused, match="too many"):
        rows.read("x" for _ in range(10**6))


def test_the_text_is_narrow_and_plain() -> None:
    assert all(len(line) <= 86 for line in KIT.splitlines())
    assert {len(line.strip()) for line in KIT.split("\n") if re.search(r"\[....\]$", line)} == {66}
    assert re.fullmatch(r"[\n\f\x20-\x7e]*", KIT)


def test_a_passphrase_with_spaces_is_printed_so_that_none_is_lost() -> None:
    spaced = recovery_record.parse(records.repository(passphrase="a 100% %20 b", key_export=EXPORT))

    kit = " ".join(text.render(sheet.pages(ACCOUNT, [spaced])).split())
    assert "%20 stands for a space" in kit
    assert typed.of_repository(spaced)[typed.CODED] == "a%20100%25%20%2520%20b"
    assert typed.of_repository(WORK)["passphrase"] == WORK.values["passphrase"]


@pytest.mark.parametrize("locked", [False, True])
def test_only_a_locked_admin_key_asks_for_its_passphrase(locked: bool) -> None:
    key = ACCOUNT.values["private_key"]
    bent = key.replace("AAAABG5vbmU", "AAAACmFlczI1Ni") if locked else key
    account = dataclasses.replace(ACCOUNT, values={**ACCOUNT.values, "private_key": bent})

    assert ("a passphrase of its own" in text.render(sheet.pages(account, []))) == locked


def test_where_the_key_is_not_on_the_server_it_comes_first() -> None:
    keyfile = recovery_record.parse(
        records.repository(encryption="keyfile-blake2", key_export=EXPORT))

    for record, first in ((WORK, False), (keyfile, True)):
        kit = text.render(sheet.pages(ACCOUNT, [record]))
        assert (kit.index("borg key import") < kit.index("borg extract")) == first


@given(st.text("ab", min_size=1, max_size=700))
def test_a_long_command_is_set_in_lines_that_fit_and_means_the_same(value: str) -> None:
    lines = sheet._set("BORG_REPO", value)

    assert all(len(line) <= 66 for line in lines)
    script = "\n".join((*lines, 'printf %s "$BORG_REPO"'))
    done = subprocess.run(["/bin/sh", "-euc", script], check=True, capture_output=True, text=True)
    assert done.stdout == value


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


@pytest.mark.parametrize("port", ["22", "2222"])
def test_its_steps_make_the_two_files_that_ssh_needs(port: str, tmp_path: Path) -> None:
    account = dataclasses.replace(ACCOUNT, values={**ACCOUNT.values, "port": port})
    first, page = sheet.pages(account, [])
    rows_of_it = "\n".join(f"   {row}" for row in page.blocks[0].typed)

    done = subprocess.run(["/bin/sh", "-euc", "\n".join(first.blocks[1].typed)], check=True,
                          input=f"{rows_of_it}\n", capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout == "" == done.stderr
    made = tmp_path / "kit"
    assert (made / "known_hosts").read_text("ascii") == sheet.known_hosts(account)
    key = (made / "admin-key").read_text("ascii")
    assert "".join(key.split("\n")[1:-2]) == typed.of_account(ACCOUNT)["admin-key"]
    assert {path.stat().st_mode & 0o077 for path in made.iterdir()} == {0}


def _draws(folder: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> Path:
    """Put a program in qrencode's place that notes how it was called."""
    program, seen = folder / "qrencode", folder / "seen"
    program.write_text(f"#!/bin/sh\n(echo \"$@\"; env) > {seen}\ncat > {seen}.typed\n{ends}\n")
    program.chmod(0o755)
    monkeypatch.setattr(qr, "_PROGRAM", str(program))
    return seen


def test_a_code_is_drawn_without_the_secret_in_an_argument_or_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = _draws(tmp_path, monkeypatch, "echo '<svg id=\"QRcode\"/>'")

    assert qr.svg("the secret") == "<svg/>\n"

    assert "the secret" not in seen.read_text()
    assert (tmp_path / "seen.typed").read_text() == "the secret"


@pytest.mark.parametrize(
    "ends", ["exit 1", "echo no; exit 3", "kill -9 $$", "yes | head -c 2000000"])
def test_a_code_that_cannot_be_drawn_is_a_failure_that_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    _draws(tmp_path, monkeypatch, ends)

    with pytest.raises(ServiceFailure) as caught:
        qr.svg("the secret")

    assert caught.value.cause == "internal" and "the secret" not in str(caught.value)
