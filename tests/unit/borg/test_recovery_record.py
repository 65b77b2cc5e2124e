"""The recovery record: one spelling of values that were all checked; a refusal repeats none."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_borg import recovery_record, spelling
from qborg_borg.recovery_record import Kind, RecordRefused
from unit.vault import records

GOOD = {"a repository": records.repository(), "an account": records.account()}
KEYS = [(kind, key) for kind, data in GOOD.items() for key in sorted(json.loads(data))]
# Of other keys too: some of them fit.
VALUES = st.sampled_from(sorted({value for data in GOOD.values()
                                 for value in json.loads(data).values()}))  # fmt: skip
MARK = "marked4u"

Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_what_is_parsed_is_spelled_as_it_came(data: bytes) -> None:
    found = recovery_record.parse(data)

    assert recovery_record.encode(found.kind, found.repository, found.values) == data


BENT: dict[str, Change] = {
    "a list": lambda record: [record],
    "a text": lambda record: MARK,
    "one key more": lambda record: {**record, MARK: ""},
    "one key less": lambda record: {key: record[key] for key in record if key != "port"},
    "a kind of its own": lambda record: {**record, "kind": MARK},
    "a kind that is a list": lambda record: {**record, "kind": ["account"]},
    "no kind": lambda record: {key: record[key] for key in record if key != "kind"},
    "format 2": lambda record: {**record, "format": "2"},
    "a number": lambda record: {**record, "port": 22},
    "a reserved name": lambda record: {**record, "repository": "dom-dom0"},
    "too long": lambda record: {**record, "passphrase": MARK * (1 << 13)},
}


@pytest.mark.parametrize("change", BENT.values(), ids=BENT)
@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_another_object_is_no_record(data: bytes, change: Change) -> None:
    _is_refused(spelling.spell(change(json.loads(data))))


SPELLED: dict[str, Callable[[bytes], bytes]] = {
    "a space": lambda data: data.replace(b":", b": ", 1),
    "a line end": lambda data: data + b"\n",
    "a key twice": lambda data: data.replace(b"{", b'{"account":"' + MARK.encode() + b'",', 1),
    "an escape": lambda data: data.replace(b"rsync.example", rb"rsync.ex\u0061mple"),
    "a byte that is no ASCII": lambda data: data.replace(b"rsync", b"rs\xc3\xbdnc"),
    "cut": lambda data: data[:-1],
    "nothing": lambda data: b"",
    "deep": lambda data: b"[" * 60000,
}


@pytest.mark.parametrize("change", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_another_spelling_is_no_record(data: bytes, change: Callable[[bytes], bytes]) -> None:
    assert change(data) != data
    _is_refused(change(data))


@given(which=st.sampled_from(KEYS), value=st.one_of(st.text(max_size=300), VALUES))
def test_any_value_at_all_is_refused_or_comes_back_as_it_was(
    which: tuple[str, str], value: str
) -> None:
    kind, key = which
    record = {**json.loads(GOOD[kind]), key: value}
    data = spelling.spell(record)
    try:
        found = recovery_record.parse(data)
    except RecordRefused as refused:
        assert len(value) < 20 or value not in str(refused)
        return
    assert found.values == record
    assert recovery_record.encode(found.kind, found.repository, found.values) == data


@pytest.mark.parametrize("key", ["account", "host_key", "key_export", "made", "passphrase", "port",
                                 "private_key", "public_key"])  # fmt: skip
def test_none_is_made_that_would_not_open(key: str) -> None:
    values = dict(recovery_record.parse(GOOD["a repository"]).values)
    with pytest.raises(RecordRefused) as caught:
        recovery_record.encode(Kind.REPOSITORY, records.WORK, {**values, key: f"\x1b{MARK}"})
    assert key in str(caught.value) and MARK not in str(caught.value)


def _is_refused(data: bytes) -> None:
    with pytest.raises(RecordRefused) as caught:
        recovery_record.parse(data)
    assert MARK not in str(caught.value)
