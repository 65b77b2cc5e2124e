"""What the old scripts left: put aside whole; what only looks like it stays."""

from pathlib import Path

import pytest

from qborg_client import generation, old_scripts
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from unit.borg.bundles import REPOSITORY
from unit.client.test_generation import bundle

FORMER, NOW = "ssh://bakserver/./repos/vm-work", REPOSITORY.url
CACHE = "[cache]\nversion = 1\nprevious_location = {}\nkey_type = 3\n"


@pytest.fixture(name="paths")
def old_home(tmp_path: Path) -> Paths:
    """Answer a home with the old scripts' directory and borg's notes."""
    paths = Paths(tmp_path)
    paths.bundle.mkdir(parents=True)
    for name, text in (("borgpass", "secret"), ("borgrepo", "vm-work"), ("vm-work.openssh", "k")):
        (paths.bundle / name).write_text(text, encoding="ascii")
    for number, place in (("aa", FORMER), ("bb", "ssh://other/./repos/x")):
        note = tmp_path / ".config/borg/security" / number / "location"
        cache = tmp_path / ".cache/borg" / number / "config"
        for path, text in ((note, place), (cache, CACHE.format(place))):
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="ascii")
    return paths


def _notes(paths: Paths, number: str) -> tuple[str, str]:
    return ((paths.home / f".config/borg/security/{number}/location").read_text(),
            (paths.home / f".cache/borg/{number}/config").read_text())


def test_the_old_directory_is_put_aside_whole(paths: Paths) -> None:
    generation.check_place(paths)
    generation.install(paths, bundle())

    kept = paths.generations / "old-scripts"
    assert (kept / "borgpass").read_text() == "secret"
    assert paths.bundle.is_symlink()
    generation.drop_older(paths)
    assert (kept / "borgrepo").exists()


def test_a_second_one_does_not_replace_the_first(paths: Paths) -> None:
    (paths.generations / "old-scripts").mkdir(parents=True)

    generation.install(paths, bundle())

    assert (paths.generations / "old-scripts-2" / "borgpass").read_text() == "secret"


@pytest.mark.parametrize("name", ["borgpass", "borgrepo", "vm-work.openssh"])
def test_a_directory_that_lacks_something_is_the_users_own(paths: Paths, name: str) -> None:
    (paths.bundle / name).unlink()

    with pytest.raises(ServiceFailure, match="is yours"):
        generation.check_place(paths)


def test_borg_is_told_of_this_move_and_no_other(paths: Paths) -> None:
    other = _notes(paths, "bb")

    old_scripts.tell_borg(paths, REPOSITORY)

    assert _notes(paths, "aa") == (NOW, CACHE.format(NOW))
    assert _notes(paths, "bb") == other


@pytest.mark.parametrize("place", ["", "../x", "vm-work\nvm-work", "x" * 99])
def test_an_unclear_place_tells_borg_nothing(paths: Paths, place: str) -> None:
    (paths.bundle / "borgrepo").write_text(place, encoding="ascii")

    old_scripts.tell_borg(paths, REPOSITORY)

    assert _notes(paths, "aa") == (FORMER, CACHE.format(FORMER))


JOB = b"03 * * * * /usr/bin/borgmatic -c /home/user/.ssh/backups/borgmatic.cfg"


@pytest.mark.parametrize("end", [b"", b"\n", b" > /dev/null\n"])
def test_the_old_job_becomes_a_comment(end: bytes) -> None:
    text = b"RANDOM_DELAY=20\n" + JOB + end

    once = old_scripts.without_job(text)

    assert once == b"RANDOM_DELAY=20\n# put aside by qubes-borg: " + JOB + end
    assert old_scripts.without_job(once) == once


@pytest.mark.parametrize("line", [
    b"# " + JOB, b"0 3 * * * borgmatic -c /home/user/mine.cfg\n", b"0 3 * * * /bin/borgmatic\n",
    JOB.replace(b"borgmatic.cfg", b"mine.yaml"),
], ids=["comment", "own-file", "plain", "own-name"])  # fmt: skip
def test_another_job_stays(line: bytes) -> None:
    assert old_scripts.without_job(line) == line
