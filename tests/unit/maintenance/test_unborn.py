"""What a cut birth left is told from what a backup may have written, over both ways to files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_maintenance.files import Files
from qborg_maintenance.repository import is_unborn
from unit.maintenance.directory import WAYS, Account

PLACE = "repos/dom-work"
LEFT = {
    "a-directory": ("README",),
    "no-segment": ("config", "data/"),
    "no-segment-in-0": ("config", "data/0/"),
    "one-segment": ("config", "data/0/0"),
    "both-segments": ("config", "data/0/0", "data/0/1", "index.1", "hints.1"),
}
MORE = {
    "committed": ("config", "transactions", "data/0/0", "data/0/1"),
    "more-segments": ("config", "data/0/0", "data/0/1", "data/0/2"),
    "another-segment": ("config", "data/0/17"),
    "another-directory": ("config", "data/0/", "data/2/2000"),
    "its-own-directory-gone": ("config", "data/2/2000"),
    "no-segment-of-borg's": ("config", "data/0/mine"),
}


def _has(home: Path, names: tuple[str, ...]) -> Account:
    for name in names:
        path = home / PLACE / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(b"x")
    return Account(home)


@pytest.mark.parametrize("names", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_a_birth_leaves_is_unborn(
    tmp_path: Path, way: Callable[[Account], Files], names: tuple[str, ...]
) -> None:
    assert is_unborn(way(_has(tmp_path, names)), PLACE)


@pytest.mark.parametrize("names", MORE.values(), ids=MORE)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_a_backup_may_have_written_is_not(
    tmp_path: Path, way: Callable[[Account], Files], names: tuple[str, ...]
) -> None:
    assert not is_unborn(way(_has(tmp_path, names)), PLACE)
