"""How borgbak becomes borg: what borg inherits, when a glance at the bundle is not enough."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from qborg_borg import archives, command, process
from qborg_borg.bundle import match_bundle
from qborg_client import borg_line, borg_start, generation
from qborg_client.paths import Paths
from qborg_client.tools import borgbak, borgbak_checked
from static import tree
from unit.borg.bundles import KEY_SLOTS, PASSPHRASE, files, record

REACH = borg_start.Reach(
    "ssh://bakserver/./repos/dom-work", "borg14", "ssh -F /home/user/.ssh/backups/bakserver",
    "cat /home/user/.ssh/backups/borgpass", None,
)
WANTED = {
    "BORG_REPO": "ssh://bakserver/./repos/dom-work",
    "BORG_RSH": "ssh -F /home/user/.ssh/backups/bakserver",
    "BORG_REMOTE_PATH": "borg14",
    "BORG_PASSCOMMAND": "cat /home/user/.ssh/backups/borgpass",
}
HOSTILE = {
    "secrets": {"BORG_PASSPHRASE": "old", "BORG_PASSPHRASE_FD": "9"},
    "place": {"BORG_REPO": "elsewhere", "BORG_RSH": "evil", "BORG_REMOTE_PATH": "evil"},
    "command": {"BORG_PASSCOMMAND": "evil"},
}
LINE = '    - path: "ssh://bakserver/./repos/dom-work"'
BENT = {
    "other-host": (LINE, '    - path: "ssh://elsewhere/./repos/dom-work"'),
    "below": (LINE, '    - path: "ssh://bakserver/./repos/dom-work/x"'),
    "above": (LINE, '    - path: "ssh://bakserver/./repos/../x"'),
    "no-name": (LINE, '    - path: "ssh://bakserver/./repos/"'),
    "archive": (LINE, '    - path: "ssh://bakserver/./repos/dom-work::x"'),
    "command": ('remote_path: "borg14"', 'remote_path: "borg14;x"'),
    "unquoted": ('remote_path: "borg14"', "remote_path: borg14"),
    "twice": ('remote_path: "borg14"', 'remote_path: "borg14"\nremote_path: "borg12"'),
    "none": ('remote_path: "borg14"', ""),
    "bytes": ('remote_path: "borg14"', 'remote_path: "b\u00f6rg"'),
}


def _bundle(home: Path, **changes: str) -> Path:
    folder = home / ".ssh" / "backups"
    folder.mkdir(parents=True)
    for name, text in files(**changes).items():
        (folder / name).write_text(text)
    return folder / "borgmatic.yaml"


@pytest.mark.parametrize("inherited", HOSTILE.values(), ids=HOSTILE)
def test_borg_gets_the_repository_and_nothing_in_its_place(inherited: dict[str, str]) -> None:
    assert borg_start.environment({"TERM": "xterm", **inherited}, REACH) == {
        "TERM": "xterm", **WANTED}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, KEY_SLOTS], ids=["repokey", "keyfile"])
def test_a_glance_tells_what_the_bundle_tells(tmp_path: Path, changes: dict[str, str]) -> None:
    _bundle(tmp_path, **changes)

    told = borgbak_checked.reach(Paths(tmp_path), match_bundle(record(**changes), "work"))

    assert borg_start.look(str(tmp_path)) == told
    assert PASSPHRASE not in str(told)


@pytest.mark.parametrize(("old", "new"), BENT.values(), ids=BENT)
def test_what_does_not_look_like_ours_is_left_to_the_whole_check(
    tmp_path: Path, old: str, new: str
) -> None:
    file = _bundle(tmp_path)
    assert borg_start.look(str(tmp_path)) is not None and old in file.read_text()
    file.write_text(file.read_text().replace(old, new))

    assert borg_start.look(str(tmp_path)) is None


def test_a_home_that_a_shell_would_not_take_as_it_is_is_left_to_it_too(tmp_path: Path) -> None:
    home = tmp_path / "a b"
    _bundle(home)

    assert borg_start.look(str(home)) is None
    assert borg_start.look(str(tmp_path / "nobody")) is None


def test_a_running_backup_is_seen_and_not_disturbed(tmp_path: Path) -> None:
    lock = tmp_path / ".local/state/qubes-borg/lock"
    assert not borg_start.backup_runs(str(tmp_path))
    lock.parent.mkdir(parents=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    assert not borg_start.backup_runs(str(tmp_path))

    fcntl.flock(descriptor, fcntl.LOCK_EX)

    assert borg_start.backup_runs(str(tmp_path))
    os.close(descriptor)
    assert not borg_start.backup_runs(str(tmp_path))


# What lies in the lock of borg's cache, by borg's own names: HOST@ID.PROCESS-THREAD.
OURS, ALIVE = "ssh://bakserver/./repos/qubes-work", f"work@2485377892354.{os.getpid()}-0"
HOLDERS = {
    "none": (OURS, (), False),
    "one-that-lives": (OURS, (ALIVE,), True),
    "one-that-died": (OURS, ("work@2485377892354.4194999-0",), False),
    "both": (OURS, ("work@1.4194999-0", f"a.b@1.{os.getpid()}-7f"), True),
    "something-else": (OURS, ("x", "work@1.-0", "work@1.self-0"), False),
    "of-a-stick": ("/media/stick/repo", (ALIVE,), False),
    "of-none-that-is-known": ("", (ALIVE,), False),
}


@pytest.mark.parametrize(("place", "names", "is_there"), HOLDERS.values(), ids=HOLDERS)
def test_another_borg_is_seen_by_the_lock_of_its_cache(
    tmp_path: Path, place: str, names: tuple[str, ...], is_there: bool
) -> None:
    assert not borg_start.another_borg(str(tmp_path))
    lock = tmp_path / ".cache/borg" / ("1" * 64) / "lock.exclusive"
    known = tmp_path / ".config/borg/security" / ("1" * 64)
    for folder in (lock, known):
        folder.mkdir(parents=True)
    if place:
        (known / "location").write_text(place)
    for name in names:
        (lock / name).touch()

    assert borg_start.another_borg(str(tmp_path)) is is_there


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["--help"], 0), (["-h"], 0)], ids=["none", "help", "h"]
)
def test_it_teaches_by_examples(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert borgbak.main(arguments) == code

    said = capsys.readouterr()
    text = said.out if code == 0 else said.err
    assert "borgbak extract ARCHIVE home/user/letter" in text
    assert (said.err if code == 0 else said.out) == ""


def test_what_it_imports_is_next_to_nothing() -> None:
    path = ", ".join(repr(str(tree.ROOT / folder)) for folder in ("dom0", "vm-services"))
    code = f"""import sys; sys.path[:0] = [{path}]
import qborg_client.tools.borgbak
heavy = {{"argparse", "dataclasses", "hashlib", "json", "pathlib", "re", "subprocess",
         "tomllib", "typing", "qborg_borg"}}
print(*sorted(heavy & set(sys.modules)))"""

    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)

    assert done.stdout == b"\n"


def test_it_is_the_borg_of_the_other_commands() -> None:
    assert borg_start.BORG == command.BORG


# It answers as a repository with one archive, and tells its arguments.
LOOK = """#!/bin/sh
echo "$*" > "$HOME/asked"
echo '{"archives": [{"name": "work-2026-01-31T10:17:00", "time": "2026-01-31T10:17:00"}]}'
"""
LOOKS = {"ten-minutes": ([], "600"), "as-told": (["--lock-wait", "5"], "5")}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a bundle, in which borg becomes whatever lies there as `borg`."""
    _bundle(tmp_path)
    monkeypatch.setattr(command, "BORG", str(tmp_path / "borg"))
    monkeypatch.setattr(process, "home", lambda: str(tmp_path))
    monkeypatch.setattr(borgbak_checked, "own_paths", lambda: Paths(tmp_path))
    monkeypatch.setattr(generation, "required",
                        lambda _paths: match_bundle(record(), "work"))  # fmt: skip
    return tmp_path


def _borg(home: Path, text: str) -> None:
    (home / "borg").write_text(text)
    (home / "borg").chmod(0o755)


def _checked(*arguments: str) -> int:
    return borgbak_checked.main(arguments, borg_line.read(arguments))


@pytest.mark.parametrize(("more", "seconds"), LOOKS.values(), ids=LOOKS)
def test_the_look_for_the_latest_waits_as_borg_will(
    home: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], seconds: str
) -> None:
    _borg(home, LOOK)
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _program, argv, _variables: became.append(argv))

    _checked("info", *more, "latest")

    asked = (home / "asked").read_text().split()
    assert [asked[at + 1] for at, word in enumerate(asked) if word == "--lock-wait"][-1] == seconds
    assert became[0][-1] == "::work-2026-01-31T10:17:00"


ENDS = {
    "no-list": ("echo nonsense", "error: borg-failed: "),
    "refused": ("exit 74", "error: locked: "),
}


@pytest.mark.parametrize(("does", "says"), ENDS.values(), ids=ENDS)
def test_a_look_for_the_latest_that_finds_none_is_told_in_a_line(
    home: Path, capsys: pytest.CaptureFixture[str], does: str, says: str
) -> None:
    _borg(home, f"#!/bin/sh\n{does}\n")

    assert _checked("info", "latest") == 1

    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(says) and len(said.err) < 200


def test_a_look_for_the_latest_is_ended_by_ctrl_c(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raised as Python raises it: a real signal would go to whoever runs the tests, too."""
    def interrupted(*_words: object, **_more: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(archives, "newest", interrupted)

    assert _checked("info", "latest") == 130

    assert capsys.readouterr().err == ""
