"""A manifest read back: with the record's key where that is a file, and whatever borg prints."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from qborg_borg import command, process
from qborg_borg.recovery_record import parse
from qborg_service import qubesdb, volatile
from qborg_service.call import Call
from qborg_service.failure import ServiceFailure
from qborg_wire.reply import Progress
from qborg_wire.services import SERVICES
from qborg_worker import held
from qborg_worker.services import prove_record, read_manifest
from unit.vault import records

ARCHIVE = "work-2026-01-31T10:17:00"
KEYFILE = "keyfile-blake2"
# Borg of a repository that holds no key itself.
BORG = """
[ -f "${BORG_KEY_FILE:-}" ] || {
    echo '{"type": "log_message", "levelname": "ERROR", "msgid": "KeyfileNotFoundError"}' >&2
    exit 42
}
case "$*" in
    list*) echo '{"archives": [{"name": "ARCHIVE", "time": "2026-01-31T10:17:02.000000"}]}' ;;
    key*) cat "$BORG_KEY_FILE" ;;
    extract*/proof) echo proof ;;
    extract*/manifest) PRINTS ;;
esac
""".replace("ARCHIVE", ARCHIVE)
Handler = Callable[[Call], Mapping[str, str]]
Prints = Callable[[str], None]


@pytest.fixture
def prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prints:
    """Be a disposable; answers what has borg do this for a manifest."""
    monkeypatch.setattr(volatile, "folder", lambda: tmp_path)
    monkeypatch.setattr(qubesdb, "persistence", lambda: "none")

    def has(script: str) -> None:
        borg = ["/bin/sh", "-euc", BORG.replace("PRINTS", script), "borg"]
        monkeypatch.setattr(command, "argv", lambda _access, tail: [*borg, *tail])

    return has


def _asks(handle: Handler, name: str, archive: str, encryption: str = KEYFILE,
          told: Callable[[Progress], None] = lambda _told: None) -> dict[str, str]:
    record = records.repository(encryption=encryption)
    own = parse(record).repository
    held.accept(record, own)
    values = {"archive": archive, "lender": "keeper"}
    return dict(handle(Call(SERVICES[name], own, values, None, "dom0", told)))


def _reads(archive: str = ARCHIVE, encryption: str = KEYFILE) -> dict[str, str]:
    return _asks(read_manifest.handle, "ReadManifest", archive, encryption)


def _proves() -> str:
    return _asks(prove_record.handle, "ProveRecord", ARCHIVE)["manifest"]


@pytest.mark.parametrize("archive", ["latest", ARCHIVE])
def test_a_key_file_opens_the_archive(prints: Prints, archive: str) -> None:
    prints('cat "$BORG_KEY_FILE"')

    found = _reads(archive)

    assert (found["archive"], json.loads(found["manifest"])) == (ARCHIVE, records.EXPORT)


def test_a_record_without_one_opens_no_repository_that_needs_it(prints: Prints) -> None:
    prints("echo class AppVM")

    with pytest.raises(ServiceFailure) as refused:
        _reads("latest", "repokey-blake2")

    assert refused.value.cause == "keys-missing"


WORD = hashlib.sha256(b"class AppVM").hexdigest()
# What borg does for a manifest, what is answered, and what a proof makes of it.
FOUND = {
    "a-text": ("printf 'class AppVM'", '"class AppVM"', WORD),
    "no-file": ("exit 106", "none", "none"),
    "no-file-by-borg-1.2": ("exit 1", "none", "none"),
    "a-text-beside-a-warning": ("printf 'class AppVM'; exit 1", '"class AppVM"', WORD),
    "an-empty-file-or-a-link": (":", '""', "source-missing"),
    "an-escape-sequence": ("printf '\\033[2J'", '""', "source-missing"),
    "a-byte-too-long": ("head -c 15001 /dev/zero | tr '\\0' a", '""', "source-missing"),
}


@pytest.mark.parametrize(("script", "told", "proved"), FOUND.values(), ids=FOUND)
def test_what_is_no_manifest_is_told_to_whoever_recovers_and_proves_nothing(
    prints: Prints, script: str, told: str, proved: str
) -> None:
    prints(script)

    assert _reads()["manifest"] == told
    if proved != "source-missing":
        assert _proves() == proved
        return
    with pytest.raises(ServiceFailure) as refused:
        _proves()
    assert refused.value.cause == proved


def test_a_manifest_without_an_end_keeps_nobody_waiting(prints: Prints) -> None:
    prints("exec yes")

    assert _reads()["manifest"] == '""'


@pytest.mark.parametrize(("handle", "name"), [
    (prove_record.handle, "ProveRecord"), (read_manifest.handle, "ReadManifest")])
def test_as_long_as_borg_goes_through_an_archive_that_is_told(
    prints: Prints, monkeypatch: pytest.MonkeyPatch, handle: Handler, name: str
) -> None:
    monkeypatch.setattr(process, "_LOOK", 0.1)
    prints("sleep 1; printf 'class AppVM'")
    told: list[Progress] = []

    _asks(handle, name, ARCHIVE, told=told.append)

    assert len(told) > 3 and SERVICES[name].idle


def test_borgs_own_failure_is_no_manifest_that_is_missing(prints: Prints) -> None:
    prints("exit 81")

    with pytest.raises(ServiceFailure):
        _reads()
