"""What is lent: to the one who was announced, the one repository, for a while."""

import json
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from qborg_maintenance import lending, settings
from qborg_maintenance.services import lend_repository, serve_repository
from qborg_maintenance.state import State
from qborg_service import volatile
from qborg_service.call import Call
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from qborg_wire.services import SERVICES
from unit.maintenance.example import SETTINGS

WORK = Repository("dom", "work")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the notes in a directory of the test."""
    monkeypatch.setattr(volatile, "folder", lambda: tmp_path)
    return tmp_path


def _is_refused(caller: str, repository: Repository) -> None:
    with pytest.raises(ServiceFailure) as refused:
        lending.require(caller, repository)
    assert refused.value.cause == "wrong-caller"


def test_who_was_announced_may_ask_more_than_once() -> None:
    lending.announce("borg-worker", WORK)

    lending.require("borg-worker", WORK)
    lending.require("borg-worker", WORK)


def test_nobody_else_and_nothing_else() -> None:
    lending.announce("borg-worker", WORK)

    _is_refused("work", WORK)
    _is_refused("borg-worker", Repository("dom", "mail"))


def test_a_later_note_ends_the_one_before() -> None:
    lending.announce("borg-worker", WORK)
    lending.announce("borg-worker", Repository("dom", "mail"))

    _is_refused("borg-worker", WORK)


def test_it_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    lending.announce("borg-worker", WORK)
    monkeypatch.setattr(lending, "_SECONDS", -1.0)
    lending.announce("borg-worker", WORK)

    _is_refused("borg-worker", WORK)


@pytest.mark.parametrize(("lent", "seconds", "renewed"), [
    (("borg-worker", WORK), 100.0, True), (("borg-worker", WORK), -1.0, False),
    (("personal", WORK), 100.0, False), (("borg-worker", Repository("dom", "mail")), 100.0, False),
], ids=["the-same", "it-has-ended", "to-another", "another"])
def test_what_is_in_use_stays_lent_unless_it_has_ended_or_another_loan_came(
    memory: Path, monkeypatch: pytest.MonkeyPatch, lent: tuple[str, Repository], seconds: float,
    renewed: bool,
) -> None:
    with monkeypatch.context() as before:
        before.setattr(lending, "_SECONDS", seconds)
        lending.announce(*lent)
    note = (memory / "lent.json").read_bytes()

    lending.is_in_use("borg-worker", WORK)

    assert ((memory / "lent.json").read_bytes() != note) is renewed
    if renewed:
        assert json.loads((memory / "lent.json").read_bytes())["until"] > time.monotonic() + 800


def test_a_long_conversation_keeps_it_lent(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh, state = memory / "ssh", State(memory)
    ssh.write_text("#!/bin/sh\nsleep 1\nexit 7\n", encoding="ascii")
    ssh.chmod(0o700)
    settings.store(state, SETTINGS)
    account = Mock(__enter__=lambda _self: Mock(), __exit__=lambda *_args: None)
    for name, value in {"own_state": lambda: state, "configured": lambda *_args: account,
                        "SSH": str(ssh), "_TELL": 0.1}.items():
        monkeypatch.setattr(serve_repository, name, value)
    lending.announce("borg-worker", WORK)
    note = (memory / "lent.json").read_bytes()

    assert serve_repository.serve_repository("borg-worker", WORK) == 7

    assert (memory / "lent.json").read_bytes() != note


@pytest.mark.parametrize(("machine", "lent"), [(SETTINGS.machine, True), ("laptop", False)])
def test_dom0_may_lend_what_the_registry_does_not_know_and_only_of_this_computer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, lent: bool
) -> None:
    state, former = State(tmp_path), Repository(machine, "work.former1")
    settings.store(state, SETTINGS)
    monkeypatch.setattr(lend_repository, "own_state", lambda: state)
    call = Call(SERVICES["LendRepository"], former, {"worker": "borg-worker"}, None, "dom0",
                lambda _told: None)  # fmt: skip

    if lent:
        assert lend_repository.lend_repository(call) == {"lent": "yes"}
        lending.require("borg-worker", former)
    else:
        with pytest.raises(ServiceFailure, match="keys-missing"):
            lend_repository.lend_repository(call)
        _is_refused("borg-worker", former)


@pytest.mark.parametrize("note", [b"", b"{", b"{}", b"x" * 5000])
def test_without_a_good_note_nothing_is_lent(memory: Path, note: bytes) -> None:
    (memory / "lent.json").write_bytes(note)

    _is_refused("borg-worker", WORK)
