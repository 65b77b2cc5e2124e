"""A key put back: of the record that dom0 knows alone, and where one belongs."""

from pathlib import Path

import pytest

from qborg_borg import command
from qborg_borg.recovery_record import parse
from qborg_service import qubesdb, volatile
from qborg_service.call import Call
from qborg_service.failure import ServiceFailure
from qborg_wire.services import SERVICES
from qborg_worker import held
from qborg_worker.services import repair_key
from unit.vault import records

# Borg of a repository with the record's key; each call of it is counted.
BORG = """
printf x >> "$0.calls"
case "$*" in
    key*export*) cat "$0" ;;
    list*) echo '{"archives": []}' ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a disposable with such a borg; answers the file that counts."""
    monkeypatch.setattr(volatile, "folder", lambda: tmp_path)
    monkeypatch.setattr(qubesdb, "persistence", lambda: "none")
    export = tmp_path / "export"
    export.write_text(records.EXPORT, "ascii")
    monkeypatch.setattr(
        command, "argv", lambda _access, tail: ["/bin/sh", "-euc", BORG, str(export), *tail])
    return tmp_path / "export.calls"


def _repairs(digest: str = "", encryption: str = "repokey-blake2") -> dict[str, str]:
    data = records.repository(encryption=encryption)
    record = parse(data)
    held.accept(data, record.repository)
    values = {"lender": "keeper", "record": digest or record.digest}
    return dict(repair_key.handle(Call(
        SERVICES["RepairKey"], record.repository, values, None, "dom0", lambda _told: None)))


def test_the_key_of_the_known_record_is_looked_for(calls: Path) -> None:
    assert _repairs() == {"record": parse(records.repository()).digest, "changed": "no"}
    assert calls.exists()


@pytest.mark.parametrize(("digest", "encryption", "cause"), [
    ("e" * 64, "repokey-blake2", "record-refused"), ("", "keyfile-blake2", "needs-no-key"),
])
def test_of_another_record_or_where_none_belongs_nothing_is_touched(
    calls: Path, digest: str, encryption: str, cause: str
) -> None:
    with pytest.raises(ServiceFailure) as refused:
        _repairs(digest, encryption)

    assert refused.value.cause == cause and not calls.exists()
