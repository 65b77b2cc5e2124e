"""Lines that somebody else has to add: what a server that refuses for a while does to the looks."""

from pathlib import Path

import pytest

from qborg_maintenance import awaited
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from unit.maintenance import example

NAMES = ("qubes-work", "qubes-personal", "qubes-mail")
AWAY = ServiceFailure("server-unreachable", "no connection to the server")
OTHER = ServiceFailure("publish-refused", "its line is another one")


def _lacks(
    monkeypatch: pytest.MonkeyPatch, path: Path, *finds: bool | ServiceFailure
) -> tuple[str, ...]:
    """Look for each of NAMES, of which a look finds or raises that."""
    looks = iter(finds)

    def look(*_asked: object) -> bool:
        found = next(looks)
        if isinstance(found, ServiceFailure):
            raise found
        return found

    monkeypatch.setattr(awaited, "_is_there", look)
    return awaited.lacking(State(path), example.SETTINGS, NAMES, lambda: None)


@pytest.mark.parametrize(("finds", "lacks"), [
    ((True, True, True), ()), ((True, False, True), NAMES[1:2]),
    ((False, AWAY, AWAY), NAMES), ((True, False, AWAY), NAMES[1:]),
], ids=["all", "one", "refused-for-the-first", "refused-for-the-second"])  # fmt: skip
def test_who_is_refused_for_a_key_that_was_not_taken_looks_again_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, finds: tuple[bool, ...],
    lacks: tuple[str, ...],
) -> None:
    assert _lacks(monkeypatch, tmp_path, *finds) == lacks


@pytest.mark.parametrize("finds", [(AWAY,), (True, AWAY), (False, OTHER)])
def test_a_server_that_is_away_and_a_line_that_is_wrong_are_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, finds: tuple[bool | ServiceFailure, ...]
) -> None:
    with pytest.raises(ServiceFailure):
        _lacks(monkeypatch, tmp_path, *finds)
