"""A delivery taken back: what came with it goes, what a person has or changed stays."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg.bundle import match_bundle
from qborg_client import backup, crontab, generation, removal, ssh_config, state
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository
from unit.borg.bundles import record

WORK = Repository("dom", "work")
OURS, OTHERS = "1" * 64, "2" * 64


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A home into which a bundle was delivered; the machine has no crontab program."""
    monkeypatch.setattr(crontab, "_CRONTAB", str(tmp_path / "no-crontab"))
    return Paths(tmp_path)


def delivers(paths: Paths) -> None:
    """Do what a delivery and a first backup leave behind."""
    generation.install(paths, match_bundle(record(), "work"))
    wanted = ssh_config.planned(paths.ssh_config)
    assert wanted is not None
    ssh_config.write(paths.ssh_config, wanted)
    backup.make_settings(paths)
    with state.only_run(paths):
        state.new_proof(paths)
    for place, url in ((OURS, WORK.url), (OTHERS, "ssh://nas/./repos/dom-work")):
        note = paths.home / ".config" / "borg" / "security" / place
        note.mkdir(parents=True)
        (note / "location").write_text(url)
        (paths.home / ".cache" / "borg" / place).mkdir(parents=True)


def files(paths: Paths) -> dict[str, bytes]:
    """Answer every file below the home, and the target of every link."""
    return {
        str(path.relative_to(paths.home)): os.readlink(path).encode() if path.is_symlink()
        else path.read_bytes()
        for path in sorted(paths.home.rglob("*")) if path.is_symlink() or path.is_file()
    }


def test_nothing_of_a_delivery_stays(paths: Paths) -> None:
    delivers(paths)

    assert removal.undo(paths, WORK) == (True, "removed")

    assert files(paths) == {
        f".config/borg/security/{OTHERS}/location": b"ssh://nas/./repos/dom-work"}
    assert not paths.ssh.exists() and not paths.state.exists()
    assert not paths.settings_directory.exists()
    assert [path.name for path in (paths.home / ".cache" / "borg").iterdir()] == [OTHERS]


def test_a_second_time_there_is_nothing_to_do(paths: Paths) -> None:
    delivers(paths)
    removal.undo(paths, WORK)
    before = files(paths)

    assert removal.undo(paths, WORK) == (False, "none")

    assert files(paths) == before


def test_what_a_person_has_there_stays(paths: Paths) -> None:
    paths.ssh.mkdir()
    paths.ssh_config.write_bytes(b"Host nas\r\n  User me")
    (paths.ssh / "id_rsa").write_bytes(b"mine\n")
    before = files(paths)
    delivers(paths)
    (paths.settings_directory / "patterns").write_bytes(b"R /home/user/mine\n")

    assert removal.undo(paths, WORK) == (True, "kept")

    left = files(paths)
    assert before.items() <= left.items()
    assert left[".config/qubes-borg/patterns"] == b"R /home/user/mine\n"
    assert ".config/qubes-borg/settings" not in left


def test_the_bundle_of_another_repository_is_not_touched(paths: Paths) -> None:
    delivers(paths)
    before = files(paths)

    with pytest.raises(ServiceFailure, match="not-this-qube"):
        removal.undo(paths, Repository("dom", "mail"))

    assert files(paths) == before


def links_generations(paths: Paths) -> None:
    """Put a link in the place of the generations' directory."""
    paths.generations.rename(paths.home / "elsewhere")
    paths.generations.symlink_to(paths.home / "elsewhere")


def links_config(paths: Paths) -> None:
    """Make ssh's configuration a link, as those do who keep it in a repository of their own."""
    paths.ssh_config.rename(paths.home / "elsewhere")
    paths.ssh_config.symlink_to(paths.home / "elsewhere")


@pytest.mark.parametrize("bend", [links_generations, links_config])
def test_what_a_person_must_mend_is_told_and_nothing_removed(
    paths: Paths, bend: Callable[[Paths], None]
) -> None:
    delivers(paths)
    bend(paths)
    before = files(paths)

    with pytest.raises(ServiceFailure, match="bundle-refused"):
        removal.undo(paths, WORK)

    assert files(paths) == before


def test_while_a_backup_runs_nothing_is_removed(paths: Paths) -> None:
    delivers(paths)
    with state.only_run(paths):
        before = files(paths)

        with pytest.raises(ServiceFailure, match="locked"):
            removal.undo(paths, WORK)

    assert files(paths) == before


def test_a_damaged_bundle_goes_as_well(paths: Paths) -> None:
    delivers(paths)
    (paths.bundle / "borgrepo").write_bytes(b"\xff")

    assert removal.undo(paths, WORK)[0]

    assert not os.path.lexists(paths.bundle)


def test_a_directory_of_the_users_own_in_its_place_stays(paths: Paths) -> None:
    paths.bundle.mkdir(parents=True)
    (paths.bundle / "mine").write_bytes(b"mine\n")

    assert removal.undo(paths, WORK) == (False, "none")

    assert files(paths) == {".ssh/backups/mine": b"mine\n"}


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_a_killed_removal_is_ended_by_the_next(paths: Paths, done: int) -> None:
    delivers(paths)
    steps: list[Callable[[], object]] = [
        lambda: ssh_config.write(paths.ssh_config, b""),
        lambda: paths.bundle.unlink(),
        lambda: (paths.generations / "1" / "borgpass").unlink(),
        lambda: (paths.settings_directory / "settings").unlink(),
    ]
    for step in steps[:done]:
        step()

    assert removal.undo(paths, WORK)[0]

    assert not paths.ssh.exists() and not paths.settings_directory.exists()
