"""Generations on a real disk: whole or not at all, and the former one stays until the proof."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg.bundle import Bundle, match_bundle
from qborg_client import generation
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from unit.borg.bundles import record


def bundle(**changes: str) -> Bundle:
    """Answer a good bundle, some slots filled otherwise."""
    return match_bundle(record(**changes), "work")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An empty home."""
    return Paths(tmp_path)


def tree(paths: Paths) -> dict[str, bytes | str]:
    """Answer everything below ~/.ssh: files with their bytes, links with their targets."""
    found: dict[str, bytes | str] = {}
    for path in sorted(paths.ssh.rglob("*")):
        name = str(path.relative_to(paths.ssh))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def test_a_bundle_is_read_back_as_it_was_installed(paths: Paths) -> None:
    made = bundle()

    generation.install(paths, made)

    found = generation.required(paths)
    assert (found.digest, found.files) == (made.digest, made.files)
    assert found.passphrase == made.passphrase


def test_everything_is_private(paths: Paths) -> None:
    generation.install(paths, bundle())

    for path in [paths.ssh, *paths.generations.rglob("*"), paths.generations]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_former_generation_stays_until_the_new_one_is_proved(paths: Paths) -> None:
    generation.install(paths, bundle())
    generation.install(paths, bundle(port="2222"))

    assert os.listdir(paths.generations) and (paths.generations / "1" / "borgpass").exists()
    assert generation.required(paths).port == "2222"

    generation.drop_older(paths)

    assert os.listdir(paths.generations) == ["2"]
    assert generation.required(paths).port == "2222"


def test_a_foreign_key_changes_nothing(paths: Paths, tmp_path: Path) -> None:
    generation.install(paths, bundle())
    before = tree(paths)
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    public = " ".join(other.with_suffix(".pub").read_text().split()[:2])

    with pytest.raises(ServiceFailure) as refused:
        generation.install(paths, bundle(public_key=public))

    assert refused.value.cause == "bundle-refused"
    assert tree(paths) == before


def test_what_a_killed_delivery_left_is_cleared_away(paths: Paths) -> None:
    generation.install(paths, bundle())
    half = paths.generations / ".0123456789abcdef"
    half.mkdir()
    (half / "borgpass").write_bytes(b"x")

    generation.install(paths, bundle(port="2222"))

    assert sorted(os.listdir(paths.generations)) == ["1", "2"]


def test_no_bundle_is_none_and_required_says_so(paths: Paths) -> None:
    assert generation.current(paths) is None
    with pytest.raises(ServiceFailure) as missing:
        generation.required(paths)

    assert missing.value.cause == "bundle-missing"


def test_a_dangling_link_is_no_bundle(paths: Paths) -> None:
    paths.ssh.mkdir()
    paths.bundle.symlink_to("backups.d/7")

    assert generation.current(paths) is None


def replace_by_link(folder: Path) -> None:
    """Put a link in a file's place."""
    (folder / "borgrepo").unlink()
    (folder / "borgrepo").symlink_to("/etc/hostname")


def replace_by_fifo(folder: Path) -> None:
    """Put a fifo in a file's place, which would hold a careless reader."""
    (folder / "borgrepo").unlink()
    os.mkfifo(folder / "borgrepo")


def append(folder: Path) -> None:
    """Add what ssh would execute."""
    path = folder / "bakserver"
    path.write_bytes(path.read_bytes() + b"    ProxyCommand id\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "appended": append,
    "truncated": lambda folder: (folder / "borgpass").write_bytes(b""),
    "missing": lambda folder: (folder / "known_hosts").unlink(),
    "extra": lambda folder: (folder / "install.sh").touch(),
    "link": replace_by_link,
    "fifo": replace_by_fifo,
    "not-ascii": lambda folder: (folder / "borgpass").write_bytes(b"\xff" * 43 + b"\n"),
    "flood": lambda folder: (folder / "borgpass").write_bytes(b"a" * 100_000),
    "no-key": lambda folder: (folder / "dom-work.openssh").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_nothing_of_a_damaged_bundle_is_used(
    paths: Paths, damage: Callable[[Path], object]
) -> None:
    generation.install(paths, bundle())

    damage(paths.bundle)

    with pytest.raises(ServiceFailure) as refused:
        generation.current(paths)
    assert refused.value.cause == "bundle-refused"


def test_a_directory_of_the_users_own_is_not_replaced(paths: Paths) -> None:
    paths.bundle.mkdir(parents=True)

    with pytest.raises(ServiceFailure) as refused:
        generation.check_place(paths)

    assert refused.value.cause == "bundle-refused"


@pytest.mark.parametrize("name", ["ssh", "generations"])
def test_a_link_in_the_place_of_a_directory_is_refused(
    paths: Paths, tmp_path: Path, name: str
) -> None:
    place: Path = getattr(paths, name)
    place.parent.mkdir(exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    place.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ServiceFailure):
        generation.check_place(paths)


def test_older_ones_stay_when_the_link_leads_elsewhere(paths: Paths, tmp_path: Path) -> None:
    generation.install(paths, bundle())
    paths.bundle.unlink()
    paths.bundle.symlink_to(tmp_path)

    with pytest.raises(ServiceFailure):
        generation.drop_older(paths)

    assert os.listdir(paths.generations) == ["1"]


def test_no_part_of_the_secrets_shows(paths: Paths) -> None:
    made = bundle()

    shown = f"{made!r} {made.passphrase} {made.passphrase!r}"

    assert made.passphrase.reveal().decode() not in shown
    assert "PRIVATE KEY" not in shown


def test_what_was_installed_can_be_removed_and_again(paths: Paths) -> None:
    generation.install(paths, bundle())
    generation.install(paths, bundle(port="2222"))
    (paths.generations / ".0123456789abcdef").mkdir()
    (paths.ssh / ".backups.0123456789abcdef").symlink_to("backups.d/1")

    assert generation.remove(paths)

    assert list(paths.ssh.iterdir()) == []
    assert not generation.remove(paths)


def test_what_is_not_ours_stays_when_the_rest_is_removed(paths: Paths) -> None:
    generation.install(paths, bundle())
    (paths.generations / "old-scripts").mkdir()
    (paths.generations / "old-scripts" / "borgpass").write_bytes(b"old\n")
    (paths.generations / "007").mkdir()
    (paths.ssh / "id_ed25519").write_bytes(b"mine\n")

    assert generation.remove(paths)

    assert tree(paths) == {
        "backups.d/old-scripts/borgpass": b"old\n", "id_ed25519": b"mine\n"}
    assert (paths.generations / "007").is_dir()


@pytest.mark.parametrize("target", ["elsewhere", "/backups.d/1", "backups.d/../1", "backups.d/1/x"])
def test_a_link_that_leads_elsewhere_is_a_persons(paths: Paths, target: str) -> None:
    generation.install(paths, bundle())
    paths.bundle.unlink()
    paths.bundle.symlink_to(target)

    assert generation.remove(paths)

    assert tree(paths) == {"backups": target}
