"""A client as its own keyholder: a bundle beside the installed one, adopted once it opens."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg import birth, host_keys, recovery_record
from qborg_borg.bundle import match_bundle
from qborg_client import crontab, generation, identity, keyholder, next_bundle, removal
from qborg_client.keyholder import Prepared
from qborg_client.paths import Paths
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret
from qborg_wire.names import Repository, fingerprint
from unit.borg.bundles import HOST_KEY, record

WORK, FIRST, LATER = Repository("dom", "work"), next_bundle.FIRST, "1" * 32
SERVER = {"host": "ab1234.rsync.example", "port": "22", "account": "ab1234",
          "host_key": fingerprint(HOST_KEY), "remote_borg": "borg14"}
EXPORT = b"BORG_KEY " + b"1" * 64 + b"\n" + (b"A" * 60 + b"\n") * 5
NOTHING: frozenset[str] = frozenset()
BOTH = frozenset({"key", "passphrase"})


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A home in a qube named work; the server shows its key, borg does as it is told."""
    monkeypatch.setattr(crontab, "_CRONTAB", str(tmp_path / "no-crontab"))
    monkeypatch.setattr(identity, "own_qube", lambda: "work")
    monkeypatch.setattr(identity, "require_lasting_home", lambda _home: None)
    monkeypatch.setattr(host_keys, "of_fingerprint", lambda *_asked: HOST_KEY)
    monkeypatch.setattr(crontab, "planned", lambda _block: (None, False))
    monkeypatch.setattr(volatile, "folder", lambda: tmp_path)
    monkeypatch.setattr(birth, "make", lambda *_asked: True)
    monkeypatch.setattr(birth, "change_passphrase", lambda *_asked: None)
    monkeypatch.setattr(birth, "export", lambda _access: EXPORT)
    return Paths(tmp_path)


def prepares(
    paths: Paths, rotation: str = FIRST, fresh: frozenset[str] = NOTHING
) -> Prepared:
    """Prepare a bundle of work."""
    return keyholder.prepare(paths, WORK, SERVER, rotation, fresh)


def installs(paths: Paths) -> None:
    """Have a bundle that came from elsewhere."""
    generation.install(paths, match_bundle(record(), "work"))


def test_a_first_bundle_has_everything_new_and_says_where_it_leads(paths: Paths) -> None:
    made = prepares(paths)

    assert (made.created, made.pending) == (True, True)
    assert made.bundle.host_key == HOST_KEY and made.bundle.host == SERVER["host"]
    assert len(made.bundle.passphrase.reveal()) == 43
    generation._check_pair(paths.generations / "next" / "files", made.bundle)
    assert generation.current(paths) is None
    again = prepares(paths)
    assert (again.created, again.bundle) == (False, made.bundle)


@pytest.mark.parametrize("fresh", [{"key"}, {"passphrase"}, BOTH], ids=["key", "phrase", "both"])
def test_a_rotation_keeps_what_is_not_to_be_new(paths: Paths, fresh: frozenset[str]) -> None:
    installs(paths)
    before = generation.required(paths)

    made = prepares(paths, LATER, frozenset(fresh)).bundle

    assert (made.public_key != before.public_key) == ("key" in fresh)
    assert (made.passphrase != before.passphrase) == ("passphrase" in fresh)
    assert generation.required(paths) == before, "backups go on with the installed one"


def test_without_a_rotation_the_installed_bundle_is_told_of_and_nothing_is_made(
    paths: Paths
) -> None:
    installs(paths)

    told = prepares(paths)

    assert (told.bundle, told.pending) == (generation.required(paths), False)
    assert next_bundle.find(paths) is None


def test_its_ssh_knows_the_next_key_and_no_other(paths: Paths) -> None:
    installs(paths)
    prepares(paths, LATER, BOTH)

    found = next_bundle.required(paths, WORK)

    config = (found.folder / "ssh_config").read_text()
    assert "~/.ssh/backups/" not in config
    assert f"IdentityFile {found.folder}/files/dom-work.openssh\n" in config
    assert f"UserKnownHostsFile {found.folder}/files/known_hosts\n" in config
    modes = {path.name: path.stat().st_mode & 0o777 for path in found.folder.rglob("*")
             if path.is_file()}
    assert set(modes.values()) == {0o600}, modes


def adopts(paths: Paths) -> tuple[bool, bool]:
    """Adopt the next bundle."""
    return keyholder.adopt(paths, WORK)[1:]


def test_an_adopted_bundle_is_the_installed_one_and_the_rotation_is_over(paths: Paths) -> None:
    installs(paths)
    made = prepares(paths, LATER, BOTH).bundle
    assert keyholder.open_repository(paths, WORK, "repokey-blake2")[:2] == (EXPORT, False)

    assert adopts(paths) == (True, False)

    assert generation.required(paths) == made
    assert next_bundle.find(paths) is None
    told = prepares(paths, LATER, BOTH)
    assert (told.bundle, told.pending) == (made, False), "the same rotation is over"
    assert prepares(paths, "2" * 32, BOTH).pending, "another one begins"


def test_a_second_adoption_changes_nothing(paths: Paths) -> None:
    prepares(paths)
    keyholder.open_repository(paths, WORK, "repokey-blake2")
    adopts(paths)

    assert adopts(paths) == (False, False)


@pytest.mark.parametrize("at", ["close", "make_state"])
def test_an_adoption_that_was_cut_is_ended_by_the_next(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    made = prepares(paths).bundle
    keyholder.open_repository(paths, WORK, "repokey-blake2")

    def dies(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(next_bundle if at == "close" else Paths, at, dies)
        with pytest.raises(KeyboardInterrupt):
            adopts(paths)

    adopts(paths)
    assert generation.required(paths) == made and next_bundle.find(paths) is None


def test_a_bundle_that_never_opened_the_repository_is_not_adopted(paths: Paths) -> None:
    installs(paths)
    before = generation.required(paths)
    prepares(paths, LATER, BOTH)

    with pytest.raises(ServiceFailure) as refused:
        adopts(paths)

    assert refused.value.cause == "keys-missing"
    assert generation.required(paths) == before


def test_the_record_holds_what_opens_the_repository_and_is_made_once(paths: Paths) -> None:
    made = prepares(paths).bundle
    keyholder.open_repository(paths, WORK, "repokey-blake2")

    escrowed, again = keyholder.record(paths, WORK), keyholder.record(paths, WORK)

    found = recovery_record.parse(escrowed.data.reveal())
    assert found.values["passphrase"].encode() == made.passphrase.reveal()
    assert found.values["private_key"].encode() == made.files["dom-work.openssh"]
    assert found.values["key_export"].encode() == EXPORT
    assert (found.repository, found.values["public_key"]) == (WORK, made.public_key)
    assert escrowed.digest == again.digest


def test_an_enrolment_goes_on_with_a_rotation_and_another_rotation_does_not(paths: Paths) -> None:
    installs(paths)
    made = prepares(paths, LATER, BOTH)

    assert prepares(paths).bundle == made.bundle
    with pytest.raises(ServiceFailure) as refused:
        prepares(paths, "2" * 32, BOTH)
    assert refused.value.cause == "rotation-unfinished"


EARLY: dict[str, Callable[[Paths], object]] = {
    "opened": lambda paths: keyholder.open_repository(paths, WORK, "repokey-blake2"),
    "recorded": lambda paths: keyholder.record(paths, WORK),
}


@pytest.mark.parametrize("step", EARLY)
def test_nothing_is_opened_or_recorded_before_it_is_prepared(paths: Paths, step: str) -> None:
    with pytest.raises(ServiceFailure) as refused:
        EARLY[step](paths)

    assert refused.value.cause == "keys-missing"


def test_it_makes_keys_for_its_own_repository_alone(paths: Paths) -> None:
    installs(paths)

    with pytest.raises(ServiceFailure) as refused:
        keyholder.prepare(paths, Repository("dom", "mail"), SERVER, LATER, BOTH)

    assert refused.value.cause == "not-this-qube"
    assert next_bundle.find(paths) is None


@pytest.mark.parametrize("rotates", [False, True])
def test_a_copy_begins_anew_and_the_originals_things_are_no_base(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, rotates: bool
) -> None:
    installs(paths)
    theirs = generation.required(paths)
    if rotates:
        prepares(paths, LATER, BOTH)
    monkeypatch.setattr(identity, "own_qube", lambda: "copy")
    copy = Repository("dom", "copy")

    made = keyholder.prepare(paths, copy, SERVER, FIRST, NOTHING)

    assert made.created and made.bundle.repository == copy
    assert made.bundle.passphrase != theirs.passphrase
    assert keyholder.open_repository(paths, copy, "repokey-blake2")[:2] == (EXPORT, True)
    keyholder.adopt(paths, copy)
    assert generation.required(paths) == made.bundle
    aside = [path for path in os.listdir(paths.generations) if path.startswith("next-")]
    assert len(aside) == rotates, "what may be the last of its kind is not thrown away"


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no-rotation": lambda folder: (folder / "rotation").unlink(),
    "foreign-file": lambda folder: (folder / "files" / "evil").write_text("x"),
    "bent-config": lambda folder: (folder / "files" / "bakserver").write_text("Host x\n"),
    "link": lambda folder: (folder / "rotation").unlink() or os.symlink("x", folder / "rotation"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_in_preparation_does_not_stand_in_the_way(
    paths: Paths, damage: str
) -> None:
    installs(paths)
    prepares(paths, LATER, BOTH)
    DAMAGE[damage](paths.generations / "next")

    assert prepares(paths, LATER, BOTH).created


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_in_preparation_is_used_for_nothing(paths: Paths, damage: str) -> None:
    installs(paths)
    prepares(paths, LATER, BOTH)
    DAMAGE[damage](paths.generations / "next")

    with pytest.raises(ServiceFailure) as refused:
        adopts(paths)

    assert refused.value.cause == "bundle-refused"


def test_what_a_killed_preparation_left_is_removed(paths: Paths) -> None:
    generation.make_directories(paths)
    (paths.generations / ".next.killed" / "files").mkdir(parents=True)

    prepares(paths)

    assert os.listdir(paths.generations) == ["next"]


def test_a_revocation_removes_it_too(paths: Paths) -> None:
    installs(paths)
    prepares(paths, LATER, BOTH)

    removal.undo(paths, WORK)

    assert not paths.generations.exists()


def test_the_passphrase_is_changed_with_the_installed_one_by_the_next_key(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    installs(paths)
    made = prepares(paths, LATER, BOTH).bundle
    seen: list[tuple[bytes, bytes, str]] = []

    def change(access: birth.Access, new: Secret) -> None:
        seen.append((access.passphrase.reveal(), new.reveal(), access.rsh))

    monkeypatch.setattr(birth, "change_passphrase", change)
    keyholder.open_repository(paths, WORK, "repokey-blake2")

    old = generation.required(paths).passphrase.reveal()
    assert seen == [(old, made.passphrase.reveal(),
                     f"ssh -F {paths.generations / 'next' / 'ssh_config'}")]
