"""Backups and restores asked for with something wrong. Each row leaves everything as it was."""

import pytest

from lab import Lab
from scenarios import bent, person, state
from scenarios.refusal import Refused, changes_nothing

BACK = ("--to-directory", "/home/user/back")
FILE = "/home/user/.bashrc"
# The exit codes of qvm_borg/errors.py, written out: 2 usage, 5 QubeUnavailable, 21 NotFound,
# 24 NotEnrolled.
NAMES = {
    "no-such-qube": ("nobody", 5, "there is no qube named nobody"),
    "not-enrolled": ("personal", 24, "personal is not enrolled"),
    "a-copy": ("work-copy", 24, "work-copy is a copy of the enrolled work"),
    "maintenance": ("borg-maintenance", 24, "borg-maintenance is not enrolled"),
    "dom0": ("dom0", 24, "dom0 is not enrolled"),
}
DIRECTORIES = {
    "relative": ("back", 2, "--to-directory"),
    "empty": ("", 2, "--to-directory"),
    "escape-sequence": ("/home/user/b\x1b[2J", 2, "--to-directory"),
    "endless": ("/n" * 3000, 2, "--to-directory"),
    "holds-files": ("/home/user/holds", 21, "not empty; choose a new one"),
    "the-home": ("/home/user", 21, "not empty; choose a new one"),
    "a-file": (FILE, 21, "not a directory"),
    "a-link": ("/home/user/link", 21, "not a directory"),
    "climbs": ("/home/user/../../root/back", 21, "one that climbs"),
    "of-root": ("/root/back", 21, "Permission denied"),
    "of-nobody": ("/proc/back", 21, "it cannot restore into this directory"),
    "ssh-trusts-it": ("/home/user/.ssh/back", 21, "ssh trusts what lies there"),
    "name-too-long": ("/home/user/" + "n" * 300, 21, "File name too long"),
}
PATHS = {
    "in-no-archive": ("/home/user/nothing", 21, "'home/user/nothing' never matched"),
    "left-out-always": ("/home/user/.ssh/backups", 21, "never matched"),
    "everything": ("/", 21, "a path that names nothing"),
    "climbs": ("/home/user/../user", 21, "or climbs with .."),
    "empty": ("", 2, "argument PATH"),
    "two-lines": ("/home/user/a\nb", 2, "argument PATH"),
    "endless": ("x" * 5000, 2, "argument PATH"),
}
ARCHIVES = {
    "unknown": ("work-2020-01-01T00:00:00", 21, "work-2020-01-01T00:00:00 does not exist"),
    "not-a-name": ("no such", 2, "--archive"),
    "an-option": ("-x", 2, "--archive"),
    "endless": ("x" * 101, 2, "--archive"),
}
USAGE = {
    "no-path": Refused(("work", "--in-place"), 2, "name a PATH"),
    "no-directory": Refused(("work", FILE), 2, "whither?"),
    "no-time": Refused(("work", "--list", "--at", "yesterday"), 2, "no day or time"),
    "unknown-option": Refused(("work", FILE, *BACK, "--force"), 2, "arguments: --force"),
}


@pytest.fixture(scope="module")
def before(world: Lab) -> state.State:
    """The whole state of a machine with an enrolled qube, its copy, and things in the way."""
    world.faults.clear()
    world.restore("enrolled")
    bent.clones(world, "work", "work-copy")
    world.do("start", "work")
    world.do("start", "work-copy")
    script = "cd /home/user; mkdir -p holds; touch holds/file; ln -s /tmp link"
    world.exec("work", ["sh", "-euc", script], check=True)
    return state.everything(world)


@pytest.mark.parametrize("command", ["qvm-borg-backup", "qvm-borg-restore"])
@pytest.mark.parametrize(("name", "code", "says"), NAMES.values(), ids=NAMES)
def test_a_qube_without_backups(
    world: Lab, before: state.State, command: str, name: str, code: int, says: str
) -> None:
    rest = (FILE, *BACK) if command == "qvm-borg-restore" else ()

    changes_nothing(world, command, Refused((name, *rest), code, says), before)


@pytest.mark.parametrize(("directory", "code", "says"), DIRECTORIES.values(), ids=DIRECTORIES)
def test_a_directory_that_cannot_be_restored_into(
    world: Lab, before: state.State, directory: str, code: int, says: str
) -> None:
    row = Refused(("work", FILE, "--to-directory", directory), code, says)

    changes_nothing(world, "qvm-borg-restore", row, before)


@pytest.mark.parametrize(("path", "code", "says"), PATHS.values(), ids=PATHS)
def test_a_path_that_cannot_be_restored(
    world: Lab, before: state.State, path: str, code: int, says: str
) -> None:
    row = Refused(("work", path, *BACK), code, says)

    changes_nothing(world, "qvm-borg-restore", row, before)


@pytest.mark.parametrize(("archive", "code", "says"), ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_is_not_there(
    world: Lab, before: state.State, archive: str, code: int, says: str
) -> None:
    row = Refused(("work", FILE, *BACK, f"--archive={archive}"), code, says)

    changes_nothing(world, "qvm-borg-restore", row, before)


@pytest.mark.parametrize("row", USAGE.values(), ids=USAGE)
def test_wrong_words_for_a_restore(world: Lab, before: state.State, row: Refused) -> None:
    changes_nothing(world, "qvm-borg-restore", row, before)


@pytest.mark.parametrize(("words", "says"), [
    ((), "name some qubes"), (("work", "--all"), "name some qubes"),
    (("--all", "--due"), "not allowed with"), (("work", "--jobs", "0"), "--jobs"),
], ids=str)
def test_wrong_words_for_a_backup(
    world: Lab, before: state.State, words: tuple[str, ...], says: str
) -> None:
    row = Refused(words, 2, says)

    changes_nothing(world, "qvm-borg-backup", row, before)


@pytest.mark.usefixtures("before")
def test_an_empty_directory_will_do_and_one_missing_path_is_told(world: Lab) -> None:
    world.exec("work", ["mkdir", "/home/user/empty"], check=True)

    said = person.is_refused(
        world, "qvm-borg-restore", "work", FILE, "/home/user/nothing",
        "--to-directory", "/home/user/empty", code=21, says="'home/user/nothing' never matched")

    assert "a path is not there" in said
    world.exec("work", ["test", "-s", f"/home/user/empty{FILE}"], check=True)
