"""A client that goes on with a repository: the record in memory, its passphrase, borg's notes."""

from pathlib import Path

import pytest

from qborg_borg import birth, recovery_record
from qborg_borg.outcome import Outcome
from qborg_client import installation, keyholder, next_bundle, relocation, taken_record
from qborg_client.keyholder import Prepared
from qborg_client.paths import Paths
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.client.test_keyholder import BOTH, SERVER, WORK, installs
from unit.client.test_keyholder import paths as home
from unit.vault import records

RECORD = recovery_record.parse(records.repository())
OLD, ID = RECORD.repository, birth.parse_export(
    RECORD.values["key_export"].encode("ascii")).repository_id
NAME, KEY_ALONE = "2" * 32, frozenset({"key"})
OTHER = b"BORG_KEY " + b"2" * 64 + b"\n" + (b"A" * 60 + b"\n") * 5

paths = home


@pytest.fixture(autouse=True)
def memory(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a directory of the test as memory; borg finds the repository, and exports its key."""
    place = paths.home.parent / f"{tmp_path.name}-memory"
    place.mkdir()
    monkeypatch.setattr(volatile, "folder", lambda: place)
    monkeypatch.setattr(birth, "look", lambda _access: Outcome(0, None, (), b""))
    export = RECORD.values["key_export"].encode("ascii")
    monkeypatch.setattr(birth, "export", lambda _access: export)
    return place


def takes(repository: Repository = OLD) -> None:
    """Hold the record."""
    taken_record.take(records.repository(), repository)


def goes_on(paths: Paths, rotation: str = NAME) -> Prepared:
    """Prepare the bundle that goes on with it."""
    return keyholder.prepare(paths, WORK, SERVER, rotation, KEY_ALONE, OLD)


def test_it_has_the_passphrase_of_the_record_and_a_key_of_its_own(
    paths: Paths, memory: Path
) -> None:
    takes()
    assert (memory / "taken-record").stat().st_mode & 0o777 == 0o600

    made = goes_on(paths)

    assert made.bundle.passphrase.reveal().decode() == RECORD.values["passphrase"]
    assert made.bundle.public_key != RECORD.values["public_key"]
    found = next_bundle.required(paths, WORK)
    assert (found.repository_id, found.rotation) == (ID, NAME)


def test_a_bundle_that_lies_here_counts_for_nothing(paths: Paths) -> None:
    installs(paths)
    takes()

    made = goes_on(paths)

    assert made.created
    assert made.bundle.passphrase.reveal().decode() == RECORD.values["passphrase"]


def test_a_rotation_that_was_cut_counts_for_nothing_either(paths: Paths) -> None:
    installs(paths)
    cut = keyholder.prepare(paths, WORK, SERVER, "5" * 32, BOTH)
    takes()

    made = goes_on(paths)

    assert made.created and made.bundle.public_key != cut.bundle.public_key
    assert next_bundle.required(paths, WORK).repository_id == ID
    aside = [path for path in paths.generations.glob("next-*") if path.is_dir()]
    assert len(aside) == 1, "it may be the last of its kind"
    assert goes_on(paths).bundle == made.bundle


def test_a_killed_run_is_gone_on_with_also_without_the_record(paths: Paths, memory: Path) -> None:
    takes()
    first = goes_on(paths)
    assert not list(memory.iterdir())

    again = goes_on(paths)

    assert (again.created, again.bundle) == (False, first.bundle)


def test_without_the_record_nothing_is_prepared(paths: Paths) -> None:
    with pytest.raises(ServiceFailure) as refused:
        goes_on(paths)

    assert refused.value.cause == "record-missing"
    assert next_bundle.find(paths) is None


BAD = {
    "nothing": (b"", OLD), "cut": (records.repository()[:-1], OLD),
    "another-repository": (records.repository(), Repository("dom", "other")),
    "an-account": (records.account(), recovery_record.parse(records.account()).repository),
}


@pytest.mark.parametrize(("untrusted", "repository"), BAD.values(), ids=BAD)
def test_what_is_no_record_of_the_call_is_not_held(
    memory: Path, untrusted: bytes, repository: Repository
) -> None:
    with pytest.raises(ServiceFailure) as refused:
        taken_record.take(untrusted, repository)

    assert refused.value.cause == "record-refused" and not list(memory.iterdir())


def test_nothing_is_ever_made_in_its_place(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes()
    goes_on(paths)
    monkeypatch.setattr(birth, "look", lambda _access: Outcome(2, "repository-missing", (), b""))
    monkeypatch.setattr(birth, "make", lambda *_asked: pytest.fail("it makes one"))

    with pytest.raises(ServiceFailure) as refused:
        keyholder.open_repository(paths, WORK, "repokey-blake2")

    assert refused.value.cause == "repository-missing"


def test_another_repository_in_its_place_is_refused(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes()
    goes_on(paths)
    monkeypatch.setattr(birth, "export", lambda _access: OTHER)

    with pytest.raises(ServiceFailure) as refused:
        keyholder.open_repository(paths, WORK, "repokey-blake2")

    assert refused.value.cause == "repository-exists"
    assert not next_bundle.required(paths, WORK).export.exists()


def test_once_adopted_the_record_is_gone_and_borg_knows_the_place(
    paths: Paths, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "apply", lambda _paths, _bundle: (True, False))
    takes()
    goes_on(paths)
    assert keyholder.open_repository(paths, WORK, "repokey-blake2")[1] is False
    note = paths.home / ".config/borg/security" / ID / "location"
    note.parent.mkdir(parents=True)
    note.write_text(OLD.url, encoding="ascii")

    keyholder.adopt(paths, WORK)

    assert note.read_text(encoding="ascii") == WORK.url and not list(memory.iterdir())


def test_borgs_notes_of_another_repository_stay(paths: Paths) -> None:
    texts = {}
    for name in (ID, "3" * 64):
        for place, text in (
            (f".config/borg/security/{name}/location", OLD.url),
            (f".cache/borg/{name}/config",
             f"[cache]\nversion = 1\nprevious_location = {OLD.url}\ntimestamp = x\n"),
        ):
            path = paths.home / place
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="ascii")
            texts[path] = text

    relocation.tell_borg(paths, WORK, repository_id=ID)

    for path, text in texts.items():
        wanted = text.replace(OLD.url, WORK.url) if ID in str(path) else text
        assert path.read_text(encoding="ascii") == wanted


def test_where_borg_has_no_notes_none_are_made(paths: Paths) -> None:
    relocation.tell_borg(paths, WORK, repository_id=ID)

    assert not (paths.home / ".config/borg").exists()


def test_a_later_rotation_is_an_ordinary_one(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "apply", lambda _paths, bundle: (
        installs(paths), (True, False))[1] if bundle else (False, False))
    takes()
    goes_on(paths)
    keyholder.open_repository(paths, WORK, "repokey-blake2")
    keyholder.adopt(paths, WORK)

    keyholder.prepare(paths, WORK, SERVER, "5" * 32, BOTH)

    assert next_bundle.required(paths, WORK).repository_id == ""
