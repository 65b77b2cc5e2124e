"""A new repository for a qube that has one: made by the next bundle, the former one not asked."""

from pathlib import Path

import pytest

from qborg_borg import birth, recovery_record
from qborg_borg.bundle import KEY_FILE, match_bundle
from qborg_borg.command import Access
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_client import generation, keyholder
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret
from unit.borg.bundles import BORG_KEY, KEY_SLOTS, record
from unit.client.test_keyholder import BOTH, LATER, WORK, adopts, installs, prepares
from unit.client.test_keyholder import paths as home

FORMER = f"BORG_KEY {KEY_SLOTS['repository_id']}\n{BORG_KEY}\n".encode()
NEW = FORMER.replace(KEY_SLOTS["repository_id"].encode(), b"9" * 64).replace(b"hqlh", b"hqmi")

paths = home


@pytest.fixture(name="seen", autouse=True)
def watched_borg(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have borg make a repository with a key of its own; answers what it was asked to do."""
    asked: list[str] = []

    def make(access: Access, encryption: str, _exported: Path, _aside: object) -> bool:
        asked.append("make")
        if access.key_file and encryption == KEYFILE:
            access.key_file.write_bytes(NEW)
        return True

    def change(_access: Access, _new: Secret) -> None:
        asked.append("change-passphrase")

    monkeypatch.setattr(birth, "make", make)
    monkeypatch.setattr(birth, "change_passphrase", change)
    monkeypatch.setattr(birth, "export", lambda _access: NEW)
    return asked


@pytest.mark.parametrize("encryption", [REPOKEY, KEYFILE])
def test_it_is_made_and_the_former_ones_passphrase_is_asked_of_nobody(
    paths: Paths, seen: list[str], encryption: str
) -> None:
    slots = KEY_SLOTS if encryption == KEYFILE else {}
    generation.install(paths, match_bundle(record(**slots), "work"))
    before = generation.required(paths)
    made = prepares(paths, LATER, BOTH).bundle

    assert keyholder.open_repository(paths, WORK, encryption, anew=True) == (NEW, True, encryption)

    assert seen == ["make"]
    assert generation.required(paths) == before, "until it is adopted"
    found = recovery_record.parse(keyholder.record(paths, WORK).data.reveal()).values
    assert (found["key_export"].encode(), found["encryption"]) == (NEW, encryption)
    assert found["passphrase"].encode() == made.passphrase.reveal() != before.passphrase.reveal()
    assert adopts(paths)[0]
    now = generation.required(paths)
    assert now.passphrase == made.passphrase and (KEY_FILE in now.files) == bool(slots)
    assert now.files.get(KEY_FILE) != before.files.get(KEY_FILE) or not slots


def test_without_that_word_the_one_that_is_there_goes_on(paths: Paths, seen: list[str]) -> None:
    installs(paths)
    prepares(paths, LATER, BOTH)

    keyholder.open_repository(paths, WORK, REPOKEY)

    assert seen == ["change-passphrase"]


def test_the_former_one_in_its_place_is_never_opened_nor_adopted(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    installs(paths)
    prepares(paths, LATER, BOTH)

    def finds(*_asked: object) -> bool:
        raise ServiceFailure("repository-exists", "it is not ours to open")

    monkeypatch.setattr(birth, "make", finds)
    with pytest.raises(ServiceFailure) as refused:
        keyholder.open_repository(paths, WORK, REPOKEY, anew=True)
    assert refused.value.cause == "repository-exists"

    with pytest.raises(ServiceFailure) as refused:
        adopts(paths)
    assert refused.value.cause == "keys-missing"
