"""A client as its own keyholder of a key file: born with it, changing it, going on with one."""

from pathlib import Path

import pytest

from qborg_borg import birth, key_export, recovery_record
from qborg_borg.bundle import KEY_FILE, match_bundle
from qborg_borg.command import Access
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_borg.outcome import Outcome
from qborg_borg.recovery_record import Kind
from qborg_client import backup, generation, keyholder, next_bundle, taken_record
from qborg_client.paths import Paths
from qborg_client.tools import borgbak_checked
from qborg_service import volatile
from qborg_service.secret import Secret
from unit.borg.bundles import BORG_KEY, KEY_SLOTS, record
from unit.client.test_keyholder import BOTH, LATER, SERVER, WORK, adopts, prepares
from unit.client.test_keyholder import paths as home
from unit.vault import records

OLD = f"BORG_KEY {KEY_SLOTS['repository_id']}\n{BORG_KEY}\n".encode()
NEW = OLD.replace(b"hqlh", b"hqmi")

paths = home


@pytest.fixture(autouse=True)
def borg(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have borg write, change and export the key file that it is told of."""
    def make(access: Access, encryption: str, _exported: Path, _aside: object) -> bool:
        if access.key_file and encryption == KEYFILE:
            access.key_file.write_bytes(OLD)
        return True

    def change(access: Access, _new: Secret) -> None:
        assert access.key_file and access.key_file.read_bytes() == OLD
        access.key_file.write_bytes(NEW)

    def export(access: Access) -> bytes:
        there = access.key_file and access.key_file.exists()
        return access.key_file.read_bytes() if access.key_file and there else OLD

    monkeypatch.setattr(birth, "make", make)
    monkeypatch.setattr(birth, "change_passphrase", change)
    monkeypatch.setattr(birth, "export", export)


def _installs(paths: Paths) -> None:
    generation.install(paths, match_bundle(record(**KEY_SLOTS), "work"))


def _opens(paths: Paths, encryption: str = KEYFILE) -> str:
    return keyholder.open_repository(paths, WORK, encryption)[2]


def _recorded(paths: Paths) -> dict[str, str]:
    made = recovery_record.parse(keyholder.record(paths, WORK).data.reveal())
    return {name: made.values[name] for name in ("encryption", "key_export")}


@pytest.mark.parametrize("encryption", [KEYFILE, REPOKEY])
def test_what_was_chosen_at_the_birth_is_in_record_and_bundle(
    paths: Paths, encryption: str
) -> None:
    prepares(paths)

    assert _opens(paths, encryption) == encryption

    assert _recorded(paths) == {"encryption": encryption, "key_export": OLD.decode()}
    adopts(paths)
    installed = generation.required(paths)
    assert installed.encryption == encryption
    assert installed.files.get(KEY_FILE) == (OLD if encryption == KEYFILE else None)


def test_its_files_are_the_users_alone(paths: Paths) -> None:
    _installs(paths)
    prepares(paths, LATER, BOTH)

    assert paths.key_file.stat().st_mode & 0o777 == 0o600
    assert next_bundle.required(paths, WORK).key_file.stat().st_mode & 0o777 == 0o600


def test_a_new_passphrase_changes_the_next_file_and_the_installed_one_works_on(
    paths: Paths
) -> None:
    _installs(paths)
    prepares(paths, LATER, BOTH)

    assert _opens(paths, REPOKEY) == KEYFILE, "what is there decides"

    assert paths.key_file.read_bytes() == OLD
    assert _recorded(paths) == {"encryption": KEYFILE, "key_export": NEW.decode()}
    adopts(paths)
    assert paths.key_file.read_bytes() == NEW


def test_the_file_of_the_record_goes_on(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path.parent / f"{tmp_path.name}-memory"
    place.mkdir()
    monkeypatch.setattr(volatile, "folder", lambda: place)
    monkeypatch.setattr(birth, "look", lambda _access: Outcome(0, None, (), b""))
    taken = recovery_record.parse(records.repository())
    taken_record.take(recovery_record.encode(Kind.REPOSITORY, taken.repository, {
        **taken.values, "encryption": KEYFILE, "key_export": OLD.decode()}), taken.repository)

    keyholder.prepare(paths, WORK, SERVER, LATER, frozenset({"key"}), taken.repository)

    found = next_bundle.required(paths, WORK)
    assert found.key_file.read_bytes() == OLD and found.encryption == KEYFILE
    assert _opens(paths, REPOKEY) == KEYFILE
    assert found.finished().files[KEY_FILE] == OLD


def test_borg_is_told_of_the_file_only_where_there_is_one(paths: Paths) -> None:
    plain, with_key = (match_bundle(each, "work") for each in (record(), record(**KEY_SLOTS)))

    assert backup.access(paths, plain).key_file is None
    assert backup.access(paths, with_key).key_file == paths.key_file
    assert borgbak_checked.reach(paths, with_key).key_file == str(paths.key_file)
    assert borgbak_checked.reach(paths, plain).key_file is None
    assert key_export.parse(with_key.files[KEY_FILE]).repository_id == KEY_SLOTS["repository_id"]
