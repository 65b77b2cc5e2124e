"""The record in a worker: one, in memory, in a disposable only; and the way to its repository."""

import shlex
import subprocess
from pathlib import Path

import pytest

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_service import qubesdb, volatile
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from qborg_borg import lender
from qborg_worker import held
from unit.vault import records

RECORD = records.repository()
PARSED = recovery_record.parse(RECORD)
OWN = PARSED.repository


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a disposable, with a directory of the test as its memory."""
    monkeypatch.setattr(volatile, "folder", lambda: tmp_path)
    monkeypatch.setattr(qubesdb, "persistence", lambda: "none")
    return tmp_path


def _is_refused(record: bytes, repository: Repository, cause: str = "record-refused") -> None:
    with pytest.raises(ServiceFailure) as refused:
        held.accept(record, repository)
    assert refused.value.cause == cause


def test_a_record_is_held_once_and_read_again(memory: Path) -> None:
    assert held.accept(RECORD, OWN) == PARSED
    assert held.accept(RECORD, OWN) == PARSED, "whoever heard no answer sends it again"

    assert held.required(OWN) == PARSED
    assert (memory / "record").stat().st_mode & 0o777 == 0o600


def _made_later() -> bytes:
    values = {**PARSED.values, "made": str(PARSED.made + 1)}
    return recovery_record.encode(Kind.REPOSITORY, OWN, values)


def test_a_second_record_is_refused_and_the_first_one_stays() -> None:
    held.accept(RECORD, OWN)

    _is_refused(_made_later(), OWN)

    assert held.required(OWN) == PARSED


@pytest.mark.parametrize("persistence", ["full", "rw-only", None])
def test_only_a_disposable_holds_one(
    monkeypatch: pytest.MonkeyPatch, memory: Path, persistence: str | None
) -> None:
    monkeypatch.setattr(qubesdb, "persistence", lambda: persistence)

    _is_refused(RECORD, OWN, "not-this-role")
    assert not list(memory.iterdir())


BAD = {
    "nothing": (b"", OWN),
    "cut": (RECORD[:-1], OWN),
    "another-repository": (RECORD, Repository("dom", "other")),
    "an-account": (records.account(), recovery_record.parse(records.account()).repository),
}


@pytest.mark.parametrize(("record", "repository"), BAD.values(), ids=BAD)
def test_what_is_no_record_of_this_call_is_not_held(
    memory: Path, record: bytes, repository: Repository
) -> None:
    _is_refused(record, repository)
    assert not list(memory.iterdir())


@pytest.mark.parametrize("content", [None, b"{", b"x" * 70000])
def test_without_a_good_one_nothing_is_proved(memory: Path, content: bytes | None) -> None:
    if content is not None:
        (memory / "record").write_bytes(content)

    with pytest.raises(ServiceFailure) as refused:
        held.required(OWN)
    assert refused.value.cause == "record-refused"


def test_borg_gets_the_records_secrets_and_reaches_the_lender_alone(tmp_path: Path) -> None:
    access = lender.access(PARSED, "keeper", "/base")

    assert access.url == f"ssh://bakserver/./repos/{OWN}" and access.base_dir == "/base"
    assert access.passphrase.reveal().decode() == PARSED.values["passphrase"]
    assert access.host_id
    words = shlex.split(access.rsh)
    assert words[-2:] == ["keeper", f"qborg.ServeRepository+{OWN}"]


@pytest.mark.parametrize("encryption", ["repokey-blake2", "keyfile-blake2"])
def test_a_key_file_is_in_memory_and_only_where_there_is_one(
    memory: Path, encryption: str
) -> None:
    record = recovery_record.parse(records.repository(encryption=encryption))

    path = held.key_file(record)

    if encryption == "repokey-blake2":
        assert path is None and not list(memory.iterdir())
        return
    assert path is not None and path.parent == memory
    assert path.read_text() == record.values["key_export"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert lender.access(record, "keeper", "/base", path).key_file == path


@pytest.mark.parametrize(("codes", "ends", "times"), [
    ("0", 0, 1), ("1", 1, 1), ("126 126 0", 0, 3), ("126 " * 20, 126, 8),
])
def test_a_call_that_the_gate_still_refuses_is_made_again(
    tmp_path: Path, codes: str, ends: int, times: int
) -> None:
    program = tmp_path / "call"
    (tmp_path / "codes").write_text(codes.replace(" ", "\n"), encoding="ascii")
    program.write_text(
        f'#!/bin/sh\ncd {tmp_path}; echo "$@" >> asked; c=$(head -n 1 codes)\n'
        "sed -i 1d codes; exit $c\n", encoding="ascii")
    program.chmod(0o755)
    rsh = lender.access(PARSED, "keeper", "/base").rsh.replace(
        "/usr/bin/qrexec-client-vm", str(program)).replace("sleep 0.3", "true")

    done = subprocess.run([*shlex.split(rsh), "bakserver", "borg", "serve"], check=False)

    asked = (tmp_path / "asked").read_text(encoding="ascii").splitlines()
    assert (done.returncode, len(asked)) == (ends, times)
    assert set(asked) == {f"-- keeper qborg.ServeRepository+{OWN}"}
