"""The XML of a database: what is no database is refused, and the same compares as the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_vault import kdbx_text
from qborg_vault.kdbx_text import TextRefused

GOOD = (
    "<KeePassFile><Meta><RecycleBinUUID>bin</RecycleBinUUID><HistoryMaxItems>10</HistoryMaxItems>"
    "<CustomData><Item><Key>_LAST_MODIFIED</Key><Value>x</Value></Item></CustomData></Meta><Root>"
    "<Group><UUID>r</UUID><Group><UUID>bin</UUID><Group><UUID>in</UUID><Entry><UUID>e</UUID>"
    "<String><Key>Title</Key><Value> a </Value></String><Binary><Key>f</Key><Value Ref='{0}'/>"
    "</Binary></Entry></Group></Group><Entry><UUID>o</UUID><Binary><Key>g</Key>"
    "<Value Ref='{1}'/></Binary></Entry></Group><DeletedObjects><DeletedObject><UUID>d</UUID>"
    "<DeletionTime>2026-11-27T06:56:21Z</DeletionTime></DeletedObject></DeletedObjects></Root>"
    "</KeePassFile>"
)
BAD = {
    "empty": "", "text": "hello", "cut": GOOD[:-1], "other": "<a/>",
    "no-group": "<KeePassFile><Meta/><Root/></KeePassFile>",
    "encoding": "<?xml version='1.0' encoding='utf-99'?>" + GOOD,
    "many-bytes": "<?xml version='1.0' encoding='gb18030'?>" + GOOD,
    "no-time": GOOD.replace("2026-11-27T06:56:21Z", "soon"),
    "odd-time": GOOD.replace("2026-11-27T06:56:21Z", "AAAA"),
    "time-of-no-calendar": GOOD.replace("2026-11-27T06:56:21Z", "2026-13-41T06:56:21Z"),
}  # fmt: skip


def _all(text: str, *ours: str) -> dict[str, object]:
    return kdbx_text.parse(text.encode()).others(frozenset(ours))


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_database_is_refused(text: str) -> None:
    with pytest.raises(TextRefused):
        kdbx_text.parse(text.encode())


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=20), st.integers(0, 30))
def test_whatever_is_bent_is_read_or_refused(place: int, put: bytes, drop: int) -> None:
    data = GOOD.encode()
    try:
        kdbx_text.parse(data[:place] + put + data[place + drop :]).others(frozenset())
    except TextRefused:
        return


def test_what_lies_below_the_recycle_bin_is_known() -> None:
    document = kdbx_text.parse(GOOD.encode())

    assert {each.uuid: each.recycled for each in document.entries} == {"e": True, "o": False}
    assert {each.uuid: each.top for each in document.groups} == {"bin": True, "in": False}
    assert document.deleted == {"d": 1795762581}


def test_only_numbers_of_attachments_and_indents_may_differ() -> None:
    one = _all(GOOD.format(0, 1))

    assert one == _all(GOOD.format(7, 3)) == _all(GOOD.format(0, 1).replace("><", ">\n<"))
    for old, new in ((" a ", " a"), ("Title", "title"), ("'1'", "'0'"), ("<UUID>in", "<UUID>im"),
                     (">10<", ">11<"), ("06:56:21", "06:56:22"), ("_LAST_", "MY_")):  # fmt: skip
        bent = GOOD.format(0, 1).replace(old, new)
        assert bent != GOOD.format(0, 1) and _all(bent) != one, old


def test_only_what_is_ours_may_differ() -> None:
    bent = GOOD.replace(" a ", "b")

    assert _all(GOOD) != _all(bent)
    assert _all(GOOD, "e") == _all(bent, "e")


@given(st.integers(0, 1 << 40))
def test_a_time_is_read_as_it_was_written(seconds: int) -> None:
    assert kdbx_text.read_time(kdbx_text.write_time(seconds)) == seconds
