"""qborg-vault-export as a person meets it: what it says, what it refuses, killed at every step."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from keepassxc import at_the_vault, databases
from qborg_vault import kdbx_records
from qborg_vault.tools import export
from unit.borg import bundles
from unit.vault import records
from unit.vault.records import KEEPER, WORK

NOW = 1764000000


@pytest.fixture
def home(owned: Path) -> Path:
    """The home of a vault's user: the account's record, one of a qube, and a database."""
    vault = at_the_vault.vault(owned.parent)
    vault.add(records.account(), KEEPER, "keeper")
    vault.add(records.repository(NOW), WORK, "work")
    return owned.parent


def _names(home: Path) -> list[str]:
    return sorted(name for name in os.listdir(home) if name != ".local")


def _digests(path: Path) -> set[str]:
    return {each.digest for each in kdbx_records.records_from(databases.look(path)).records}


def _kept(home: Path) -> set[str]:
    vault = at_the_vault.vault(home)
    found = (vault.newest(each) for each in vault.repositories())
    return {stored.newest.digest for stored in found if stored is not None}


def test_it_says_what_it_did_and_no_secret(home: Path, owned: Path) -> None:
    first = at_the_vault.run(home, "export", owned.name)
    again = at_the_vault.run(home, "export", owned.name, "--json")

    said = first.stdout.decode()
    assert first.returncode == again.returncode == 0 and first.stderr == b""
    assert "account of dom: added\ndom-work: added\n2 records are in " in said
    [kept] = [name for name in _names(home) if ".before-" in name]
    assert kept in said and bundles.PASSPHRASE not in said
    facts = json.loads(again.stdout)
    assert facts["same"] == ["account of dom", "dom-work"] and facts["kept"] is None
    assert facts["added"] == facts["renewed"] == facts["damaged"] == []
    assert "nothing was changed" in at_the_vault.run(home, "export", owned).stdout.decode()


@dataclass(frozen=True)
class Bad:
    """What is done to the file and the words of the command; what the refusal says."""

    says: str
    does: Callable[[Path], object] = lambda _path: None
    words: tuple[str, ...] = ()
    typed: bytes = databases.MASTER.encode() + b"\n"
    program: str = "/usr/bin/keepassxc-cli"


def _cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def _lock(path: Path, text: str) -> None:
    path.with_name(f".{path.name}.lock").write_text(text)


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


BAD = {
    "wrong-password": Bad("it does not open", typed=b"hunter2\n"),
    "empty-password": Bad("password-awaited: ", typed=b"\n"),
    "no-password": Bad("password-awaited: ", typed=b""),
    "two-lines": Bad("it does not open", typed=b"one\ntwo\n"),
    "over-long-password": Bad("password-awaited: ", typed=b"x" * 2000),
    "cut-in-the-header": Bad("is damaged", lambda path: _cut(path, 100)),
    "cut-in-the-middle": Bad("is damaged", lambda path: _cut(path, 3000)),
    "cut-to-nothing": Bad("no KeePass 2 database", lambda path: _cut(path, 0)),
    "a-bit-of-the-header": Bad("is damaged", lambda path: _flip(path, 40)),
    "a-bit-of-the-data": Bad("is damaged", lambda path: _flip(path, 3000)),
    "another-file": Bad("no KeePass 2 database", lambda path: path.write_text("hello\n" * 99)),
    "endless": Bad("longer than allowed", lambda path: os.truncate(path, 1 << 30)),
    "missing": Bad("No such file", os.unlink),
    "dangling-link": Bad("No such file", _link_to_nothing),
    "a-directory": Bad("is a directory", lambda path: (path.unlink(), path.mkdir())),
    "locked": Bad("is open in another program", lambda path: _lock(path, f"{os.getpid()}\nx\nh\n")),
    "oddly-locked": Bad("is open in another program", lambda path: _lock(path, "\x1b[2J")),
    "not-installed": Bad("is not installed", program="/nonexistent/keepassxc-cli"),
    "key-file-missing": Bad("no such key file", words=("--key-file", "nothing.keyx")),
    "nothing-to-open-it": Bad("--no-password needs --key-file", words=("--no-password",)),
    "new-over-old": Bad("exists", words=("--new",)),
    "new-with-key-file": Bad("password alone", words=("--new", "--key-file", "x")),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_it_refuses_it_says_and_nothing_changes(home: Path, owned: Path, bad: Bad) -> None:
    bad.does(owned)
    before = _names(home)
    data = owned.read_bytes() if owned.is_file() and owned.stat().st_size < 1 << 20 else b""

    done = at_the_vault.run(home, "export", owned, *bad.words, typed=bad.typed,
                            program=bad.program)  # fmt: skip

    assert bad.says in at_the_vault.refused(done)
    assert _names(home) == before and b"\x1b" not in done.stderr
    assert not data or owned.read_bytes() == data


@pytest.mark.parametrize("more", [0, 500], ids=["nothing-more", "a-little-more"])
def test_what_keepassxc_could_not_write_whole_is_not_taken(
    home: Path, owned: Path, more: int
) -> None:
    before = owned.read_bytes()
    names = _names(home)

    done = at_the_vault.run(home, "export", owned, most=len(before) + more)

    assert "no whole copy" in at_the_vault.refused(done)
    assert owned.read_bytes() == before and _names(home) == names


# A keepassxc-cli that goes wrong in the merge: `$1` is the copy, what was typed is in $typed.
_WRONG = """#!/bin/sh
typed=$(cat)
real() {{ printf '%s\\n' "$typed" | /usr/bin/keepassxc-cli "$@"; }}
[ "$1" = merge ] || {{ real "$@"; exit; }}
{instead}
"""
WRONG = {
    "does-nothing": (":", "do not read back"),
    "changes-another-entry": ('real "$@" && real edit -q -u eve "$2" mail', "what is not ours"),
    "loses-another-entry": ('real "$@" && real rm -q "$2" mail', "what is not ours"),
    "loses-an-attachment": (
        'real "$@" && real attachment-rm -q "$2" mail "Foto ü.png"', "what is not ours"),
    "leaves-half": ('real "$@" && truncate -s 2000 "$2"', "no whole copy"),
    "removes-it": ('rm "$2"', "no whole copy"),
    "fails": ("exit 1", "no whole copy"),
    "dies": ("kill -9 $$", "no whole copy"),
}  # fmt: skip


@pytest.mark.parametrize(("instead", "says"), WRONG.values(), ids=WRONG)
def test_a_merge_that_goes_wrong_is_not_taken(
    home: Path, owned: Path, instead: str, says: str
) -> None:
    program = home.with_name("wrong-cli")
    program.write_text(_WRONG.format(instead=instead))
    program.chmod(0o755)
    before, names = owned.read_bytes(), _names(home)

    done = at_the_vault.run(home, "export", owned, program=str(program))

    assert says in at_the_vault.refused(done)
    assert owned.read_bytes() == before and _names(home) == names


def test_two_exports_wait_for_each_other(home: Path, owned: Path) -> None:
    directory = os.open(home, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)

    done = at_the_vault.run(home, "export", owned)
    os.close(directory)

    assert "another export" in at_the_vault.refused(done)
    assert at_the_vault.run(home, "export", owned).returncode == 0


def test_the_password_is_typed_at_the_terminal_and_not_shown(home: Path, owned: Path) -> None:
    ours, theirs = os.openpty()
    tool = at_the_vault.start_at(theirs, home, "export", owned)
    os.close(theirs)
    shown = b""
    while b"Master password of " not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, databases.MASTER.encode() + b"\n")
    while b"the file as it was before" not in shown:
        shown += os.read(ours, 4096)

    assert tool.wait(60) == 0
    assert databases.MASTER.encode() not in shown and _digests(owned) == _kept(home)
    os.close(ours)


def test_a_lock_whose_program_is_gone_holds_nobody(home: Path, owned: Path) -> None:
    _lock(owned, "999999999\nx\nh\n")

    assert at_the_vault.run(home, "export", owned).returncode == 0


def test_a_running_keepassxc_is_mentioned(home: Path, owned: Path) -> None:
    program = home / "keepassxc"
    program.symlink_to("/usr/bin/sleep")
    with subprocess.Popen([program, "60"]) as running:
        try:
            done = at_the_vault.run(home, "export", owned)
        finally:
            running.kill()

    assert done.returncode == 0 and b"KeePassXC runs: if it has the file open" in done.stdout
    assert b"KeePassXC runs" not in at_the_vault.run(home, "export", "--new", "b.kdbx").stdout


def test_an_empty_vault_has_nothing_to_export(owned: Path) -> None:
    done = at_the_vault.run(owned.parent, "export", owned)

    assert "keeps no records" in at_the_vault.refused(done)
    assert os.listdir(owned.parent) == [owned.name]


@pytest.mark.parametrize(("number", "count", "says"), [
    (1, 1, "dom-work/000001.json in the vault is damaged"),
    (2, 2, "the newest record of dom-work in the vault is damaged; an older one was exported")])
def test_one_damaged_record_keeps_no_other_out(
    home: Path, owned: Path, number: int, count: int, says: str
) -> None:
    (at_the_vault.vault(home).root / "dom-work" / f"{number:06}.json").write_bytes(b"{}")

    done = at_the_vault.run(home, "export", owned)

    assert says in at_the_vault.refused(done)
    assert b"account of dom: added" in done.stdout and len(_digests(owned)) == count


def test_a_link_leads_to_the_file_itself(home: Path, owned: Path) -> None:
    link = home / "link.kdbx"
    link.symlink_to(owned.name)

    assert at_the_vault.run(home, "export", link).returncode == 0

    assert link.is_symlink() and _digests(owned) == _kept(home)


@pytest.mark.parametrize("new", [False, True], ids=["merge", "new"])
def test_killed_at_every_step_the_old_or_the_new_file_is_whole(
    home: Path, owned: Path, new: bool
) -> None:
    own, before = databases.own(owned), owned.read_bytes()
    path = home / "new.kdbx" if new else owned
    words = (path, "--new") if new else (path,)
    for step in count(1):
        done = at_the_vault.run(home, "export", *words, killed=step)
        if done.returncode != -signal.SIGKILL:
            break
        if path.exists() and path.read_bytes() != before:
            assert _digests(path) == _kept(home)

    assert step > 10
    assert done.returncode == 0 or new and "exists" in at_the_vault.refused(done)
    assert _digests(path) == _kept(home) and databases.own(owned) == own
    assert at_the_vault.run(home, "export", path).returncode == 0
    assert not [name for name in _names(home) if "qborg-" in name or name.endswith(".lock")]
    for name in _names(home):
        if ".before-" in name:
            assert (home / name).read_bytes() == before


def test_the_help_says_the_name_of_the_old_file_and_how_to_go_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        export.main(["--help"])

    said = capsys.readouterr().out
    assert "FILE.kdbx.before-DATE-TIME" in said and "qborg-vault-import" in said


def test_a_copy_of_the_database_is_as_good(home: Path, owned: Path) -> None:
    shutil.copy2(owned, home / "copy.kdbx")
    for path in (owned, home / "copy.kdbx"):
        assert at_the_vault.run(home, "export", path).returncode == 0
        assert _digests(path) == _kept(home)
