"""A kit that is typed back: the records come of it, or the line with the mistake is named."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecoveryRecord
from qborg_vault.kit import layout, rows, sheet, text, typed
from qborg_vault.kit.rows import KitRefused
from qborg_wire.names import Repository
from unit.borg import bundles
from unit.vault import records

EXPORT = (Path(__file__).parent / "borg-key-export.txt").read_text(encoding="ascii")
NOW = 1764000000
ACCOUNT = recovery_record.parse(records.account(NOW))
WORK = recovery_record.parse(records.repository(NOW + 1, key_export=EXPORT))
MAIL = recovery_record.parse(records.repository(
    NOW + 2, Repository("dom", "mail"), key_export=EXPORT, passphrase="a 100% %20 b " + "x" * 40,
    encryption="keyfile-blake2"))  # fmt: skip
OLD = recovery_record.parse(records.repository(NOW, key_export=EXPORT, passphrase="o" * 43))
PAIR = (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{bundles.key_pair()[0]}\n"
        "-----END OPENSSH PRIVATE KEY-----\n", bundles.key_pair()[1])  # fmt: skip
A_ROW = re.compile(r".*\[....\]|id: .*|[1-9][0-9]*: .* - ..")


def _kit(*repositories: RecoveryRecord, account: RecoveryRecord = ACCOUNT) -> list[str]:
    pages = layout.fitted(sheet.pages(account, repositories))
    return text.render(pages).split("\n")


def _rows_of(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if A_ROW.fullmatch(line.strip())]


def _read(lines: list[str]) -> list[RecoveryRecord]:
    return typed.records(lines, lambda: PAIR)


def _facts(found: list[RecoveryRecord]) -> list[dict[str, str]]:
    return [{name: text for name, text in each.values.items() if name != "nonce"}
            for each in found]  # fmt: skip


KIT = _kit(WORK, MAIL)
TYPED = _rows_of(KIT)


@pytest.mark.parametrize("lines", [KIT, TYPED], ids=["the-whole-text", "only-what-is-typed"])
def test_the_records_are_made_of_it(lines: list[str]) -> None:
    account, work, mail = _read(lines)

    assert (account.kind, account.repository) == (Kind.ACCOUNT, ACCOUNT.repository)
    for found, first in ((account, ACCOUNT), (work, WORK), (mail, MAIL)):
        lost = ("nonce", "registry", "private_key", "public_key")
        assert {name: text for name, text in found.values.items() if name not in lost} == {
            name: text for name, text in first.values.items() if name not in lost}  # fmt: skip
        assert found.repository == first.repository and found.made == first.made
    assert account.values["private_key"] == ACCOUNT.values["private_key"]
    assert (work.values["private_key"], work.values["public_key"]) == PAIR
    assert len({each.values["nonce"] for each in (account, work, mail)}) == 3


def test_the_pages_may_come_in_any_order_and_some_may_be_left_out() -> None:
    account, work, mail = (_rows_of(_kit())), _rows_of(_kit(WORK)), _rows_of(_kit(MAIL))
    size = len(account)

    assert _facts(_read(work[size:] + account)) == _facts(_read(account + work[size:]))
    assert [each.kind for each in _read(account)] == [Kind.ACCOUNT]
    assert len(_read(mail[size:] + account + work[size:])) == 3


def _squeezed(row: str) -> str:
    """Answer a row without a space that can be spared."""
    match = re.fullmatch(r"(\S+ [0-9/]+ |[0-9]+:|id:)(.*)", row)
    assert match is not None
    return match[1] + match[2].replace(" ", "")


def test_spaces_do_not_count() -> None:
    spread = [f"  {line.replace(' ', '  ')}\t" for line in TYPED]
    for lines in (list(map(_squeezed, TYPED)), spread):
        assert _facts(_read(lines)) == _facts(_read(TYPED))


ANY = st.characters(min_codepoint=32, max_codepoint=126)
ROW = st.integers(0, len(TYPED) - 1)


@settings(max_examples=1000, deadline=None)
@given(ROW, st.integers(0, 200), st.sampled_from(["put", "replace", "drop", "swap"]), ANY)
def test_one_typing_error_in_any_row_is_noticed(
    number: int, place: int, does: str, wrong: str
) -> None:
    row = TYPED[number]
    place %= len(row)
    bent = {
        "put": row[:place] + wrong + row[place:], "replace": row[:place] + wrong + row[place + 1 :],
        "drop": row[:place] + row[place + 1 :],
        "swap": row[:place] + row[place : place + 2][::-1] + row[place + 2 :],
    }[does]  # fmt: skip
    assume(bent.split() != row.split())
    lines = TYPED[:number] + [bent] + TYPED[number + 1 :]

    try:
        found = _read(lines)
    except KitRefused as error:
        told = str(error)
        assert re.search(rf"\b(?:{number + 1}|{number + 2})\b|page that ends in line|last", told)
        return
    # What a space more or less, or a zero before a number, makes of a row is the same row.
    assert _facts(found) == _facts(_read(TYPED))


@pytest.mark.parametrize("number", range(len(TYPED)))
def test_a_wrong_character_of_a_value_names_its_line(number: int) -> None:
    row = TYPED[number]
    place = len(row) - 1 if row[-1] != "]" else len(row) - 2
    bent = row[:place] + ("0" if row[place] != "0" else "1") + row[place + 1 :]

    with pytest.raises(KitRefused, match=rf"line {number + 1} is not as printed"):
        _read(TYPED[:number] + [bent] + TYPED[number + 1 :])


def test_all_lines_with_errors_are_named_at_once() -> None:
    lines = [line.upper() if number in (2, 40) else line for number, line in enumerate(TYPED)]

    with pytest.raises(KitRefused, match="lines 3, 41 are not as printed"):
        _read(lines)


@pytest.mark.parametrize("number", range(len(TYPED)))
@pytest.mark.parametrize("does", ["missing", "doubled"])
def test_a_row_that_is_missing_or_doubled_is_noticed(number: int, does: str) -> None:
    lines = list(TYPED)
    lines[number : number + 1] = [] if does == "missing" else [TYPED[number]] * 2

    with pytest.raises(KitRefused, match=r"line|last"):
        _read(lines)


@settings(max_examples=300, deadline=None)
@given(ROW, ROW)
def test_swapped_rows_are_noticed_or_mean_the_same(one: int, other: int) -> None:
    lines = list(TYPED)
    lines[one], lines[other] = lines[other], lines[one]

    try:
        found = _read(lines)
    except KitRefused:
        return
    assert _facts(found) == _facts(_read(TYPED))


def _other(label: str) -> Callable[[list[str]], list[str]]:
    """Take the rows of a label from an older kit of the same repository."""
    older = [line for line in _rows_of(_kit(OLD)) if line.startswith(f"{label} ")]
    return lambda lines: [older.pop(0) if line.startswith(f"{label} ") else line for line in lines]


LAP = recovery_record.parse(records.repository(NOW, Repository("lap", "work"), key_export=EXPORT))
PAGE = len(_rows_of(_kit()))
BENT: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "of-an-older-kit": (_other("passphrase"), "is a row of another page or kit"),
    "no-account": (lambda lines: lines[PAGE:], "the page of the account is missing"),
    "nothing": (lambda _lines: [], "the page of the account is missing"),
    "account-twice": (lambda lines: lines[:PAGE] + lines, "stands there twice"),
    "repository-twice": (lambda lines: lines + lines[PAGE:], "stands there twice"),
    "no-last-row": (lambda lines: lines[:-1], "the row `check` of the last page is missing"),
    "no-check-between": (lambda lines: lines[: PAGE - 1] + lines[PAGE:], "has a second"),
    "no-host": (lambda lines: lines[1:], "is no row `host`"),
    "no-id": (lambda lines: [line for line in lines if line[:3] != "id:"], "a line is missing"),
    "no-key": (lambda lines: [line for line in lines if not re.match("[0-9]+:|id:", line)],
               "is no row `id:`"),
    "another-computer": (lambda lines: lines + _rows_of(_kit(LAP))[PAGE:], "another computer's"),
    "a-row-of-ours-for-nothing": (
        lambda lines: lines + rows.rows("colour", "blue"), "is no row of a kit"),
    "a-forged-value": (
        lambda lines: _forged(lines, "host", "-oProxyCommand=x"), "host is malformed"),
    "a-forged-name": (lambda lines: _forged(lines, "repository", "../x"), "makes no record"),
    "another-key": (lambda lines: _forged(lines, "repository-id", "ab" * 32),
                    "the key is another repository's"),
}  # fmt: skip


def _forged(lines: list[str], label: str, value: str) -> list[str]:
    """Answer the rows of one who can compute every check."""
    made: list[str] = []
    page: dict[str, str] = {}
    for found in rows.read(lines):
        if found.label == "check":
            made += rows.rows("check", typed.check(page))
            page = {}
            continue
        page[found.label] = value if found.label == label else found.text
        if found.label not in typed.OF_KEY:
            made += rows.rows(found.label, page[found.label])
        elif found.label == rows.KEY:
            made += [line for line in lines if re.match("[0-9]+:|id:", line)]
    return made


@pytest.mark.parametrize(("bend", "says"), BENT.values(), ids=BENT)
def test_what_is_no_whole_kit_is_refused_with_the_reason(
    bend: Callable[[list[str]], list[str]], says: str
) -> None:
    with pytest.raises(KitRefused, match=re.escape(says)) as caught:
        _read(bend(_rows_of(_kit(WORK))))

    assert WORK.values["passphrase"][:12] not in str(caught.value)


@given(st.lists(st.text(max_size=120), max_size=30))
def test_whatever_is_in_the_file_is_read_or_refused(lines: list[str]) -> None:
    with pytest.raises(KitRefused):
        _read(lines)
