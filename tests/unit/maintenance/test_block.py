"""A registry out of a record and the server's block: what is later counts, but no revoked key."""

from dataclasses import replace
from pathlib import Path

import pytest

from qborg_maintenance import authorized_keys, recovery, registry, settings
from qborg_maintenance.authorized_keys import Document, Restricted
from qborg_maintenance.keypair import fingerprint
from qborg_maintenance.registry import Entry, Registry
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.maintenance.example import ADMIN_LINE, MACHINE_ID, SETTINGS, key

WORK, MAIL, NOW = Repository("dom", "work"), Repository("dom", "mail"), 1764000000
NONE = Registry("dom", MACHINE_ID, 3, {}, ())


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Answer the state of a qube that took the record of a kit, whose registry is empty."""
    made = State(tmp_path)
    registry.store(made, NONE)
    return made


def _entry(number: int, quota: str = "none") -> Entry:
    return Entry(key(number), fingerprint(key(number)), NOW, quota)


def _line(repository: Repository, number: int, quota: str = "none") -> Restricted:
    return Restricted(repository, key(number), quota)


KNOWN = Registry("dom", MACHINE_ID, 7, {"dom-work": _entry(2, "50G"), "dom-gone": _entry(5)},
                 (fingerprint(key(5)),))  # fmt: skip
_BOTH = (_line(MAIL, 3), _line(WORK, 2, "50G"))
# The block's epoch and lines; then which keys may log in, and the epoch.
MERGED: dict[str, tuple[int, tuple[Restricted, ...], dict[str, int | tuple[int, int]], int]] = {
    "a-rotation": (8, (_line(WORK, 2), _line(WORK, 4)), {"dom-work": (2, 4)}, 8),
    "a-rotation-of-one-more": (7, (_line(MAIL, 3), _line(MAIL, 4)),
                               {"dom-mail": (3, 4), "dom-work": 2}, 7),
    "a-rotation-that-is-over": (8, (_line(WORK, 4),), {"dom-work": 4}, 8),
    "as-it-was": (7, (_line(WORK, 2, "50G"),), {"dom-work": 2}, 7),
    "older": (5, (_line(WORK, 2, "50G"),), {"dom-work": 2}, 7),
    "one-more": (8, _BOTH, {"dom-mail": 3, "dom-work": 2}, 8),
    "one-more-of-the-same-epoch": (7, _BOTH, {"dom-mail": 3, "dom-work": 2}, 7),
    "one-less": (8, (_line(MAIL, 3),), {"dom-mail": 3}, 8),
    "one-less-of-the-same-epoch": (7, (), {"dom-work": 2}, 7),
    "a-new-key": (8, (_line(WORK, 4),), {"dom-work": 4}, 8),
    "another-key-of-the-same-epoch": (7, (_line(WORK, 4),), {"dom-work": 2}, 7),
    "a-revoked-key": (8, (_line(Repository("dom", "gone"), 5), *_BOTH),
                      {"dom-mail": 3, "dom-work": 2}, 8),
    "a-revoked-key-elsewhere": (6, (_line(MAIL, 5),), {"dom-work": 2}, 7),
}


@pytest.mark.parametrize(("epoch", "lines", "live", "after"), MERGED.values(), ids=MERGED)
def test_the_servers_block_is_the_truth_but_for_revoked_keys(
    epoch: int, lines: tuple[Restricted, ...], live: dict[str, int | tuple[int, int]], after: int
) -> None:
    merged = recovery.merge(KNOWN, epoch, lines, NOW)

    assert merged.live() == {
        name: tuple(map(key, numbers if isinstance(numbers, tuple) else (numbers,)))
        for name, numbers in live.items()}
    assert merged.epoch == after and set(KNOWN.revoked) <= set(merged.revoked)
    assert recovery.merge(merged, epoch, lines, NOW + 9) == merged, "once is enough"


def test_a_quota_of_a_later_block_is_taken() -> None:
    assert recovery.merge(KNOWN, 8, [_line(WORK, 2, "60G")], NOW).quotas()["dom-work"] == "60G"
    assert recovery.merge(KNOWN, 7, [_line(WORK, 2, "60G")], NOW).quotas()["dom-work"] == "50G"


def _published(*lines: Restricted) -> Document:
    before = authorized_keys.parse(ADMIN_LINE, "dom", MACHINE_ID)
    data = authorized_keys.render(before, "dom", MACHINE_ID, 8, "borg14", lines) + b"# after\n"
    return authorized_keys.parse(data, "dom", MACHINE_ID)


def test_it_is_brought_up_to_the_block_before_there_are_settings(state: State) -> None:
    merged = recovery.with_block(state, SETTINGS, NONE, _published(*_BOTH))

    assert merged.quotas() == {"dom-mail": "none", "dom-work": "50G"} and merged.epoch == 8
    assert registry.load(state, SETTINGS) == merged
    settings.store(state, SETTINGS)
    assert recovery.with_block(state, SETTINGS, NONE, _published()) == NONE, "it is in use"
    assert registry.load(state, SETTINGS) == merged


@pytest.mark.parametrize("data", [ADMIN_LINE, b""])
def test_without_a_block_the_record_is_all_that_is_known(state: State, data: bytes) -> None:
    document = authorized_keys.parse(data, "dom", MACHINE_ID)

    assert recovery.with_block(state, SETTINGS, KNOWN, document) == KNOWN


def test_a_new_set_up_takes_nothing_off_a_server(tmp_path: Path) -> None:
    state = State(tmp_path / "new")

    assert recovery.with_block(state, SETTINGS, NONE, _published(*_BOTH)) == NONE
    assert not state.registry.exists()


@pytest.mark.parametrize(("old", "new"), [
    ("dom-work", "other-work"), ("dom-work", "dom-none"), ("dom-work", "dom-."),
    ("quota 50G", "quota 9M"), ("quota 50G", "quota 50"),
])
def test_a_line_that_this_computer_could_not_have_written_stops_it(
    state: State, old: str, new: str
) -> None:
    found = _published(_line(WORK, 2, "50G"))
    document = replace(found, block=found.block.replace(old.encode(), new.encode()))

    with pytest.raises(ServiceFailure) as caught:
        recovery.with_block(state, SETTINGS, NONE, document)

    assert caught.value.cause == "publish-refused"
    assert registry.load(state, SETTINGS) == NONE
