"""Another qube's record is used once, and only where a hostile archive is kept in its directory."""

import sys
from pathlib import Path

import pytest

from qborg_borg import command, confinement
from qborg_client import receive, taken_record
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from unit.vault import records


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the record in a directory of the test."""
    monkeypatch.setattr(volatile, "folder", lambda: tmp_path)
    return tmp_path


def test_a_record_is_gone_before_it_is_used(memory: Path) -> None:
    data = records.repository()
    repository = taken_record.record_file.recovery_record.parse(data).repository
    taken_record.take(data, repository)

    assert taken_record.used_up(repository).repository == repository

    assert list(memory.iterdir()) == []
    with pytest.raises(ServiceFailure) as missing:
        taken_record.used_up(repository)
    assert missing.value.cause == "record-missing"


def _borg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    path = tmp_path / "borg"
    path.write_text(f"#!{sys.executable}\nprint('borg {version}')\n", encoding="ascii")
    path.chmod(0o755)
    monkeypatch.setattr(command, "BORG", str(path))


@pytest.mark.parametrize(("version", "is_safe"), [
    ("1.2.9", False), ("1.4.0", False), ("1.4.4", False), ("1.4.5", True), ("1.4.10", True),
    ("2.0.0", True),
])
def test_an_old_borg_needs_a_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_safe: bool
) -> None:
    _borg(tmp_path, monkeypatch, version)
    monkeypatch.setattr(confinement, "_UNSHARE", "/bin/false")

    if is_safe:
        receive.require_safe()
        return
    with pytest.raises(ServiceFailure, match=version) as refused:
        receive.require_safe()
    assert refused.value.cause == "borg-unsafe"


def test_without_borg_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BORG", str(tmp_path / "none"))

    with pytest.raises(ServiceFailure) as refused:
        receive.require_safe()

    assert refused.value.cause == "borg-missing"
