"""The account's record in a new maintenance qube: the expected one, over no other account."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_maintenance import admin_key, escrow, keys, recovery, registry, settings
from qborg_maintenance.keypair import fingerprint
from qborg_maintenance.registry import Entry, Registry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.borg import bundles
from unit.maintenance.example import key
from unit.vault import records

OWN, VAULT, NOW = records.KEEPER, "vault", 1764000000
WORK = Repository("dom", "work")
PAPER = records.account()


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the note in a directory of the test."""
    path = tmp_path / "memory"
    path.mkdir()
    monkeypatch.setattr(volatile, "folder", lambda: path)
    return path


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Answer the state of a qube that was just made."""
    return State(tmp_path / "state")


ENTRY = Entry(key(2), fingerprint(key(2)), NOW)


def _record(**changes: str) -> bytes:
    values = recovery_record.parse(PAPER).values
    return recovery_record.encode(Kind.ACCOUNT, OWN, {**values, **changes})


def _with_registry(**changes: object) -> bytes:
    plain = {"machine": "dom", "machine_id": "0" * 32, "epoch": 3, "revoked": [],
             "repositories": {"dom-work": dataclasses.asdict(ENTRY)}, **changes}  # fmt: skip
    return _record(registry=json.dumps(plain, sort_keys=True, separators=(",", ":")) + "\n")


def _settings(record: bytes) -> Settings:
    values = recovery_record.parse(record).values
    names = ("machine_id", "host", "port", "account", "host_key", "remote_borg")
    return Settings("dom", *(values[name] for name in names))


def _wanted(record: bytes, **changes: str) -> dict[str, str]:
    known = _settings(record)
    names = ("machine", "machine_id", "host", "port", "account")
    return {name: getattr(known, name) for name in names} | {
        "host_key": known.fingerprint, "vault": VAULT,
        "record": recovery_record.parse(record).digest, **changes}


def _files(state: State) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in state.root.rglob("*")
            if path.is_file() and path.name != "lock"}


def _comes(state: State, record: bytes = PAPER) -> None:
    assert recovery.expect(state, _wanted(record)) is False
    recovery.accept(state, record, OWN, VAULT)
    assert recovery.expect(state, _wanted(record)) is True


def test_what_was_expected_is_here_with_its_key_and_registry(state: State) -> None:
    record = _with_registry()

    _comes(state, record)

    known = registry.load(state, _settings(record))
    assert known.repositories == {"dom-work": ENTRY} and known.epoch == 3
    assert state.admin_key.read_text("ascii") == recovery_record.parse(record).values["private_key"]
    assert admin_key.public_key(state) == bundles.key_pair()[1]
    assert {path.stat().st_mode & 0o777 for path in state.root.rglob("*") if path.is_file()} == {
        0o600}
    assert keys.make(state, _settings(record), WORK) == (ENTRY, False)
    assert keys.forgotten(state, WORK)


def test_the_same_record_goes_back_to_the_vault(state: State) -> None:
    known = Registry("dom", "0" * 32, 3, {"dom-work": ENTRY}, ())
    record = _record(registry=known.for_record())
    _comes(state, record)

    assert escrow.account(state, _settings(record), OWN).data.reveal() == record


def test_a_registry_of_paper_is_empty_and_of_its_epoch(state: State) -> None:
    _comes(state)

    assert registry.load(state, _settings(PAPER)) == Registry("dom", "0" * 32, 3, {}, ())


def test_the_same_account_again_changes_nothing(state: State) -> None:
    _comes(state, _with_registry())
    before = _files(state)

    _comes(state, _record(made=str(NOW + 1)))
    recovery.accept(state, _record(made=str(NOW + 1)), OWN, VAULT)

    assert _files(state) == before


@pytest.mark.parametrize("left", [("record",), ("record", "registry.json")])
def test_what_a_killed_call_left_is_taken_up(state: State, left: tuple[str, ...]) -> None:
    _comes(state, _with_registry())
    whole = _files(state)
    state.admin_key.unlink()
    state.admin.rmdir()
    for name in {"record", "registry.json"} - set(left):
        (state.root / name).unlink()
    assert recovery.expect(state, _wanted(_with_registry())) is False, "it is not here"

    recovery.accept(state, _with_registry(), OWN, VAULT)

    assert _files(state) == whole


def _other_key(state: State) -> None:
    admin_key.ensure(state, "dom")


def _set_up(state: State) -> None:
    state.root.mkdir()
    settings.store(state, _settings(PAPER))


@pytest.mark.parametrize("so", [_other_key, _set_up])
def test_another_account_stays_whole(state: State, so: Callable[[State], None]) -> None:
    so(state)
    before = _files(state)
    recovery.expect(state, _wanted(PAPER))

    with pytest.raises(ServiceFailure) as caught:
        recovery.accept(state, PAPER, OWN, VAULT)

    assert caught.value.cause == "account-held" and _files(state) == before


@dataclasses.dataclass(frozen=True)
class Bad:
    """A record, what dom0 told to expect, who sends it, and the cause of the refusal."""

    record: bytes
    wanted: dict[str, str] | None = None
    caller: str = VAULT
    cause: str = "record-refused"
    own: Repository = OWN


_NO_KEY = _record(private_key=recovery_record.parse(PAPER).values["private_key"].replace(
    "b3BlbnNzaC", "b3BlbnNzaD"))  # fmt: skip
BAD = {
    "nothing": Bad(b"", _wanted(PAPER)),
    "cut": Bad(PAPER[:-1], _wanted(PAPER)),
    "a-clients": Bad(records.repository(), _wanted(PAPER)),
    "of-another-name": Bad(PAPER, own=Repository("dom", "other")),
    "another-version": Bad(_record(made=str(NOW + 1)), _wanted(PAPER)),
    "another-host": Bad(PAPER, _wanted(PAPER, host="evil.example")),
    "another-account": Bad(PAPER, _wanted(PAPER, account="evil")),
    "another-port": Bad(PAPER, _wanted(PAPER, port="2222")),
    "another-computer": Bad(PAPER, _wanted(PAPER, machine_id="1" * 32)),
    "another-host-key": Bad(PAPER, _wanted(PAPER, host_key="SHA256:" + "x" * 43)),
    "not-the-vault": Bad(PAPER, caller="work", cause="wrong-caller"),
    "no-key": Bad(_NO_KEY),
    "registry-no-json": Bad(_record(registry="{]}\n")),
    "registry-damaged": Bad(_with_registry(epoch="3")),
    "registry-of-another": Bad(_with_registry(machine_id="1" * 32), cause="settings-differ"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_any_other_record_is_refused_and_nothing_is_changed(state: State, bad: Bad) -> None:
    recovery.expect(state, bad.wanted or _wanted(bad.record))

    with pytest.raises(ServiceFailure) as caught:
        recovery.accept(state, bad.record, bad.own, bad.caller)

    assert caught.value.cause == bad.cause
    assert not state.root.exists() or _files(state) == {}


@pytest.mark.parametrize("note", [None, b"", b"{", b"{}", b"x" * 5000])
def test_without_a_good_note_none_is_expected(
    state: State, memory: Path, note: bytes | None
) -> None:
    if note is not None:
        (memory / "expected.json").write_bytes(note)

    with pytest.raises(ServiceFailure, match="no record is expected"):
        recovery.accept(state, PAPER, OWN, VAULT)


def test_a_note_ends_by_itself(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_SECONDS", -1.0)
    recovery.expect(state, _wanted(PAPER))

    with pytest.raises(ServiceFailure, match="no record is expected"):
        recovery.accept(state, PAPER, OWN, VAULT)
