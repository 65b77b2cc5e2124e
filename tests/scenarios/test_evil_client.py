"""An evil client at the server: with its key and passphrase it reaches its own repository only.

It is root in its qube and uses its own ssh and borg. Next to its repository lie real ones: of
another enrolled qube, and some whose names begin alike.
"""

import re
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import attacker, bent, person, state, thief
from scenarios.attacker import VICTIM
from scenarios.attempts import Attempt
from scenarios.person import HOME, KEYS, SERVER
from scenarios.thief import OWN, url

OTHER = "repos/qubes-personal"


@pytest.fixture(scope="module")
def neighbours(world: Lab) -> Lab:
    """work and personal are enrolled, and other repositories lie beside theirs."""
    world.faults.clear()
    world.restore("enrolled")
    person.runs(world, "qvm-borg-enroll", "personal", "--no-escrow")
    for name in ("qubes-work2", "qubes-wor", "other-work"):
        bent.makes_a_foreign_repository(world, name)
    return world


def _account(lab: Lab) -> state.State:
    """Answer all that lies in the account but borg's own notes about locks and configuration."""
    found = state.files(lab, "server", HOME)
    return {path: entry for path, entry in found.items() if not path.startswith(f"{HOME}/.c")}


@dataclass(frozen=True)
class Login(Attempt):
    """A login with the client's key: the words asked for, ssh's options, what it must say."""

    words: tuple[str, ...]
    says: str
    options: tuple[str, ...] = ()


_SERVED = "the forced command runs instead and serves nothing without borg's protocol"
_REFUSED = "borg's parser refuses it; nothing is executed"
_SSHD = "sshd refuses it: the key's line says `restrict`"
_NO_LINE = "Got connection close before repository was opened"
_CHOICE = "invalid choice|unrecognized arguments|usage: borg14"
LOGINS = {
    "shell": Login("an interactive shell", _SERVED, (), _NO_LINE),
    "terminal": Login("a terminal", _SSHD, (), "PTY allocation request failed", ("-tt",)),
    "ls": Login("a plain command, `ls`", _REFUSED, ("ls",), _CHOICE),
    "cat-keys": Login("read authorized_keys", _REFUSED, ("cat", KEYS), _CHOICE),
    "overwrite-keys": Login("write authorized_keys", _REFUSED, ("dd", f"of={KEYS}"), _CHOICE),
    "remove-all": Login("`rm -rf repos`", _REFUSED, ("rm", "-rf", "repos"), _CHOICE),
    "sh-c": Login("`sh -c`", _REFUSED, ("sh", "-c", "'touch owned'"), _CHOICE),
    "semicolon": Login(
        "a second command after `;`", _REFUSED, ("borg14 serve; touch owned",), _CHOICE),
    "newline": Login(
        "a second command after a newline", _REFUSED, ("borg14 serve\ntouch owned",), _CHOICE),
    "substitution": Login(
        "a command in `$(...)`", _REFUSED, ("borg14 serve $(touch owned)",), _CHOICE),
    "borg-version": Login("borg's version", _REFUSED, ("borg14", "--version"), "borg14 1"),
    "compact": Login(
        "`borg compact` on the server itself", _SERVED, ("borg14", "compact", OWN), _NO_LINE),
    "delete": Login(
        "`borg delete` on the server itself", _SERVED, ("borg14", "delete", OTHER), _NO_LINE),
    "serve-everything": Login(
        "`borg serve --restrict-to-path /`", _SERVED,
        ("borg14", "serve", "--restrict-to-path", "/"), _NO_LINE),
    "environment-before": Login(
        "variables before the command", _SERVED, ("BORG_REPO=/ LD_PRELOAD=/x borg14 serve",),
        _NO_LINE),
    "sftp": Login(
        "sftp", "the forced command runs instead, and tells how borg is used", ("sftp",),
        "usage: borg14", ("-s",)),
    "forward-out": Login(
        "reach another host or port through the server", _SSHD, (), "administratively prohibited",
        ("-W", "127.0.0.1:22")),
    "forward-in": Login(
        "listen on the server", _SSHD, (), "remote port forwarding failed",
        ("-o", "ExitOnForwardFailure=yes", "-R", "9999:127.0.0.1:22")),
}  # fmt: skip


@pytest.mark.parametrize("row", LOGINS.values(), ids=LOGINS)
def test_its_key_runs_nothing_but_its_forced_command(neighbours: Lab, row: Login) -> None:
    before = _account(neighbours)

    done = thief.ssh(neighbours, row.words, row.options)

    said = (done.stdout + done.stderr).decode(errors="replace")
    assert re.search(row.says, said), said
    assert "ssh-ed25519" not in said and "uid=" not in said
    assert _account(neighbours) == before


COPIES = {
    "scp": Attempt("overwrite authorized_keys by scp, old protocol", _REFUSED),
    "scp-sftp": Attempt("overwrite authorized_keys by scp, over sftp", _SSHD),
}


@pytest.mark.parametrize("option", ["-O", "-s"], ids=COPIES)
def test_it_cannot_copy_files_there(neighbours: Lab, option: str) -> None:
    before = _account(neighbours)
    scp = ["scp", option, *thief.SSH[1:], "/etc/hostname", f"{SERVER}:{KEYS}"]

    done = neighbours.exec(VICTIM, scp, input=b"", timeout=60)

    assert done.returncode != 0
    assert _account(neighbours) == before


INSIDE = {
    "agent": Attempt("have its ssh agent forwarded", "the server opens no socket for it"),
    "environment": Attempt(
        "set variables of borg, of the loader and of the shell", "none of them arrives"),
}
_HELD = "grep -lazE '^borg14$|^/etc/lab/borg/borg14$' /proc/[0-9]*/cmdline"
_SEEN = f"for f in $({_HELD}); do tr '\\0' '\\n' < ${{f%cmdline}}environ; done; ls -d /tmp/ssh-*"


def test_neither_its_agent_nor_its_environment_arrives(neighbours: Lab) -> None:
    options = [part for name in ("BORG_REPO", "LD_PRELOAD", "BASH_ENV", "PYTHONPATH")
               for part in ("-o", f"SetEnv={name}=/owned")]  # fmt: skip
    agent = ["ssh-agent", "sh", "-c", 'ssh-add -q "$1"; shift; exec "$@"', "-", thief.SSH[4]]
    argv = [*agent, *thief.SSH, "-A", *options, SERVER, "borg14", "serve"]
    with neighbours.popen(VICTIM, argv) as session:
        seen = ""
        while "SSH_ORIGINAL_COMMAND=borg14 serve" not in seen:
            assert session.returncode is None
            seen = neighbours.server.exec(["sh", "-c", _SEEN]).stdout.decode()

    assert "/owned" not in seen and "SSH_AUTH_SOCK" not in seen and "/tmp/ssh-" not in seen


@dataclass(frozen=True)
class Place(Attempt):
    """A path on the server that borg is asked to use as a repository."""

    path: str


_ELSEWHERE = "`Repository path not allowed`; nothing is read and nothing made"
REPOSITORIES = {
    "another-qube": Place("another qube's repository", _ELSEWHERE, OTHER),
    "longer-name": Place("`work2` from `work`", _ELSEWHERE, "repos/qubes-work2"),
    "shorter-name": Place("`wor` from `work`", _ELSEWHERE, "repos/qubes-wor"),
    "another-machine": Place("another computer's `work`", _ELSEWHERE, "repos/other-work"),
    "other-case": Place("`Work` from `work`", _ELSEWHERE, "repos/qubes-Work"),
    "parent": Place("the directory of all repositories", _ELSEWHERE, "repos"),
    "home": Place("the account's root", _ELSEWHERE, "/home/zh1234"),
    "root": Place("the server's root", _ELSEWHERE, "/."),
    "below": Place("a new repository inside its own", _ELSEWHERE, f"{OWN}/sub"),
    "data": Place("its own repository's data directory", _ELSEWHERE, f"{OWN}/data"),
    "climbing": Place("another's, climbing by `..`", _ELSEWHERE, f"{OWN}/../qubes-personal"),
    "absolute": Place("another's, by its absolute path", _ELSEWHERE, f"{HOME}/{OTHER}"),
    "tmp": Place("a directory anybody may write to", _ELSEWHERE, "/tmp/owned"),
    "new": Place("a name that nobody has yet", _ELSEWHERE, "repos/qubes-new"),
}


@pytest.mark.parametrize("row", REPOSITORIES.values(), ids=REPOSITORIES)
def test_it_reaches_no_repository_but_its_own(neighbours: Lab, row: Place) -> None:
    before = _account(neighbours)

    tried = [thief.borg(neighbours, "init", "-e", "none", "--make-parent-dirs", url(row.path)),
             thief.borg(neighbours, "list", url(row.path))]  # fmt: skip

    for done in tried:
        assert done.returncode == 83 and b"Repository path not allowed" in done.stderr
    assert _account(neighbours) == before
    assert b"/tmp/owned" not in neighbours.server.exec(["ls", "-d", "/tmp/owned"]).stdout


_IGNORED = "ignored or refused: the server runs the forced command"
_PATHS = {
    "serve-everything": "borg14 serve --restrict-to-path / --storage-quota 10G",
    "not-restricted": "borg14 --restrict-to-path=/",
    "shell": "sh -c id",
    "env": "env BORG_X=1 borg14",
    "second-command": "borg14; touch owned;",
    "another-borg": "../borg14",
    "umask": "borg14 --umask=0000",
}
REMOTE_PATHS = {
    name: Attempt(f"borg's `--remote-path '{words}'`", _IGNORED) for name, words in _PATHS.items()
}


@pytest.mark.parametrize("words", _PATHS.values(), ids=REMOTE_PATHS)
def test_a_remote_path_of_its_own_changes_nothing(neighbours: Lab, words: str) -> None:
    before = _account(neighbours)

    done = thief.borg(neighbours, "--remote-path", words, "list", url(OTHER))

    assert done.returncode in (81, 83) and b"uid=" not in done.stdout + done.stderr
    assert _account(neighbours) == before


@dataclass(frozen=True)
class Peek(Attempt):
    """An option by which borg reads a file while it still reads its command line."""

    option: str
    path: str


_TOLD = "borg may tell that a file is there; no line of it"
PEEKS = {
    f"{option[2:]}-{name}": Peek(f"read {name} by borg's own `{option}`", _TOLD, option, path)
    for option in ("--exclude-from", "--patterns-from")
    for name, path in (("authorized_keys", KEYS), ("another-key", f"{OTHER}/config"))
}


@pytest.mark.parametrize("row", PEEKS.values(), ids=PEEKS)
def test_borgs_options_show_no_file_of_the_server(neighbours: Lab, row: Peek) -> None:
    content = neighbours.server.exec(["cat", f"{HOME}/{row.path}"], check=True).stdout.decode()

    done = thief.ssh(neighbours, ["borg14", "create", row.option, row.path, "x::y", "z"])

    said = (done.stdout + done.stderr).decode(errors="replace")
    lines = [line for line in content.splitlines() if len(line) > 8]
    assert lines and not [line for line in lines if line[:16] in said]


def test_what_it_may_is_still_there(neighbours: Lab) -> None:
    listed = thief.borg(neighbours, "list", "--short", url(OWN))

    assert listed.returncode == 0 and listed.stdout.startswith(b"work-")
    assert attacker.record_of(neighbours)["qube"] == VICTIM
