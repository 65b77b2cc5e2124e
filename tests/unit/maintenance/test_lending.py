"""What is lent: to the one who was announced, the one repository, for a while."""

import json
import threading
import time
from collections.abc import Callable
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

    assert lending.is_in_use("borg-worker", WORK) is renewed

    assert ((memory / "lent.json").read_bytes() != note) is renewed
    if renewed:
        assert json.loads((memory / "lent.json").read_bytes())["until"] > time.monotonic() + 800


def test_what_is_announced_just_now_is_not_written_over(memory: Path) -> None:
    lending.announce("personal", WORK)
    note, stands = (memory / "lent.json").read_bytes(), list[bool]()
    lending.announce("borg-worker", WORK)
    look = threading.Thread(
        target=lambda: stands.append(lending.is_in_use("borg-worker", WORK)))

    with State(memory).locked("lent.lock"):
        look.start()
        look.join(0.3)
        (memory / "lent.json").write_bytes(note)
    look.join()

    assert (memory / "lent.json").read_bytes() == note and stands == [False]


@pytest.fixture(name="converses")
def made_converses(memory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Lend it, and answer what has a worker converse with a program in the place of ssh."""
    ssh, state = memory / "ssh", State(memory)
    settings.store(state, SETTINGS)
    account = Mock(__enter__=lambda _self: Mock(), __exit__=lambda *_args: None)
    for name, value in {"own_state": lambda: state, "configured": lambda *_args: account,
                        "SSH": str(ssh), "_LOOK": 0.1}.items():
        monkeypatch.setattr(serve_repository, name, value)
    lending.announce("borg-worker", WORK)

    def converse(does: str) -> int:
        ssh.write_text(f"#!/bin/sh\n{does}\n", encoding="ascii")
        ssh.chmod(0o700)
        return serve_repository.serve_repository("borg-worker", WORK)

    return converse


def test_a_long_conversation_keeps_it_lent(memory: Path, converses: Callable[[str], int]) -> None:
    note = (memory / "lent.json").read_bytes()

    assert converses("sleep 1\nexit 7") == 7

    assert (memory / "lent.json").read_bytes() != note


@pytest.mark.parametrize(("lent", "seconds"), [
    (("borg-worker", Repository("dom", "mail")), 900.0), (("mail", WORK), 900.0),
    (("borg-worker", WORK), -1.0),
], ids=["another", "to-another", "it-has-ended"])
def test_a_conversation_ends_with_its_loan(
    memory: Path, monkeypatch: pytest.MonkeyPatch, converses: Callable[[str], int],
    lent: tuple[str, Repository], seconds: float,
) -> None:
    with monkeypatch.context() as before:
        before.setattr(lending, "_SECONDS", seconds)
        lending.announce(*lent)
    (memory / "later").write_bytes((memory / "lent.json").read_bytes())
    lending.announce("borg-worker", WORK)

    with pytest.raises(ServiceFailure, match="no longer lent to borg-worker"):
        converses(f"trap '' TERM; mv {memory}/later {memory}/lent.json\n"
                  f"sleep 3; touch {memory}/went-on")

    assert not (memory / "went-on").exists()


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
