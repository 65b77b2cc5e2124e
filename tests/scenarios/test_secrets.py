"""The secrets are followed from the set-up to a rotation: they end in client and vault only.

Every program that any machine starts is recorded with its arguments and its environment; then all
disks, logs and temporary directories are searched, in dom0, in every qube and on the server.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Lab
from scenarios import canary, journal, lost, person, sleeper, typist
from scenarios.typist import KEEPER, PASSWORD

STATE = "/home/user/.local/share/qubes-borg"
VAULT = "vault"
JOURNALS = (KEEPER, VAULT, "work")
MACHINES = ("dom0", KEEPER, VAULT, "work", "sys-firewall", "server")
PHRASE = b"phrase-canary of my own admin key"
PLANTED = b"planted-canary-of-no-worth-000000000000000"
_CLIENT = r"/home/user/\.ssh/backups(?:\.d/[0-9]+)?"
_RECORD = rf"{STATE}/records/qubes-work/00000[12]\.json"
_ACCOUNT = rf"{STATE}/records/qubes-{KEEPER}/00000[0-9]\.json"


@dataclass(frozen=True)
class Recorded:
    """A lab with an enrolled qube, its secrets, what was started and what was printed or logged."""

    lab: Lab
    programs: Path
    said: bytes
    secrets: dict[str, bytes]
    journals: dict[str, bytes]


# The files in which each may lie; a private volume is seen below /rw too.
ALLOWED = {
    "passphrase": rf"{_CLIENT}/borgpass|{_RECORD}",
    "key": rf"{_CLIENT}/qubes-work\.openssh|{_RECORD}",
    "former passphrase": _RECORD,  # of before the rotation
    "former key": _RECORD,
    # In repokey mode borg itself keeps it with the repository, under the passphrase.
    "exported key": rf"/home/zh1234/repos/qubes-work/config|{_RECORD}",
    "admin key": f"{STATE}/admin/key|{STATE}/record|{_ACCOUNT}",
    "admin passphrase": "",
    "account password": "",
}


def _read(lab: Lab, qube: str, path: str) -> list[bytes]:
    return lab.exec(qube, ["cat", path], check=True).stdout.split(b"\n")


def _secrets(lab: Lab) -> dict[str, bytes]:
    """Answer what must not be seen: of a file of many lines one that is wholly random."""
    former, record = (
        json.loads(b"".join(_read(lab, VAULT, f"{STATE}/records/qubes-work/{number:06}.json")))
        for number in (1, 2))
    return {
        "passphrase": _read(lab, "work", ".ssh/backups/borgpass")[0],
        "key": _read(lab, "work", ".ssh/backups/qubes-work.openssh")[3],
        "former passphrase": former["passphrase"].encode(),
        "former key": former["private_key"].split("\n")[3].encode(),
        "exported key": record["key_export"].split("\n")[2].encode(),
        "admin key": _read(lab, KEEPER, f"{STATE}/admin/key")[3],
        "admin passphrase": PHRASE,
        "account password": PASSWORD,
    }


def _unlocks_a_key_of_its_own(lab: Lab, folder: Path) -> None:
    # Made outside of the lab, where nothing is recorded: the phrase is an argument here.
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", PHRASE.decode(), "-f", str(folder / "key")]
    subprocess.run(make, check=True)
    take = "umask 077; cat > mine; qborg-admin import mine; "
    lab.exec(KEEPER, ["sh", "-euc", f"{take} rm mine"], input=(folder / "key").read_bytes(),
             check=True)  # fmt: skip
    unlock = ["qborg-admin", "unlock", "--passphrase-fd", "0"]
    assert lab.exec(KEEPER, unlock, input=b"wrong\n").returncode == 1
    lab.exec(KEEPER, unlock, input=PHRASE + b"\n", check=True)


def _lives(lab: Lab, stack: ExitStack) -> Iterator[str]:
    """Log in by a password, enrol, restore; then have what can go wrong, for its messages."""
    lab.do("start", VAULT)
    for qube in JOURNALS:
        stack.enter_context(journal.listens(lab, qube))
    tool = typist.begins(lab)
    yield typist.types(lab, b"wrong")[1]
    yield typist.types(lab, PASSWORD)[1]
    yield typist.ends(tool, 0)
    yield person.runs(lab, "qvm-borg-setup", "--vault", VAULT)
    yield person.runs(lab, "qvm-borg-enroll", "work")
    yield person.runs(lab, "qvm-borg-restore", "work", "/home/user/.bashrc",
                      "--to-directory", "/home/user/back")  # fmt: skip
    lab.server.stop_sshd()
    yield person.runs(lab, "qvm-borg-backup", "work", code=17)
    yield person.runs(lab, "qvm-borg-enroll", "work", code=17)
    lab.server.start_sshd()
    due = ["dd", "status=none", f"of={sleeper.LAST}"]  # else a scheduled run has nothing to say
    lab.exec("work", due, input=b'{"success": 1, "outcome": "ok"}', check=True)
    # Of another shape, and of the right shape but wrong.
    for change in ("s/^.//", "y/abcdefghijklm/nopqrstuvwxyz/"):
        bent = f"cd .ssh/backups && cp -p borgpass kept && sed -i '{change}' borgpass"
        failed = lab.exec("work", ["sh", "-c", (
            f"{bent}; qborg-run; qborg-run --scheduled; borgbak list; mv kept borgpass")])
        assert b"error: " in failed.stderr
        yield (failed.stdout + failed.stderr).decode()
    yield journal.kept(lab, KEEPER).decode()
    lost.removes(lab)
    yield person.runs(lab, *lost.RECOVER, code=26)
    lab.do("start", KEEPER)
    stack.enter_context(journal.listens(lab, KEEPER))
    lab.exec(KEEPER, ["qborg-admin", "unlock", "--passphrase-fd", "0"], input=PHRASE, check=True)
    yield person.runs(lab, *lost.RECOVER)
    yield person.runs(lab, "qvm-borg-rotate", "work")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A set-up and an enrolment, recorded, and all that was printed and logged."""
    folder = tmp_path_factory.mktemp("recorded")
    programs = folder / "programs"
    with Lab.up(typist.world(folder), record=programs) as lab, ExitStack() as stack:
        typist.makes_the_keeper(lab)
        _unlocks_a_key_of_its_own(lab, folder)
        said = "".join(_lives(lab, stack)).encode()
        journals = {qube: journal.kept(lab, qube) for qube in JOURNALS}
        logs = b"".join(path.read_bytes() for path in (lab.state / "log").glob("*"))
        said += b"".join(journals.values())
        yield Recorded(lab, programs, said + logs, _secrets(lab), journals)


@pytest.mark.parametrize("name", ALLOWED)
def test_no_program_gets_it_as_an_argument_or_in_its_environment(
    recorded: Recorded, name: str
) -> None:
    programs = recorded.programs.read_bytes()

    assert programs.count(b"execve(") > 200 and b"/usr/bin/borg" in programs
    for spelling in canary.spellings(recorded.secrets[name]):
        assert spelling not in programs


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_that_is_printed_or_logged_holds_it(recorded: Recorded, name: str) -> None:
    assert b"enrolled as qubes-work" in recorded.said

    for spelling in canary.spellings(recorded.secrets[name]):
        assert spelling not in recorded.said


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ALLOWED)
def test_no_disk_and_no_temporary_directory_holds_it(
    recorded: Recorded, machine: str, name: str
) -> None:
    for spelling in canary.spellings(recorded.secrets[name]):
        assert canary.files_with(recorded.lab, machine, spelling, ALLOWED[name]) == []


def test_each_is_found_in_its_own_file(recorded: Recorded) -> None:
    places = {"passphrase": ("work", VAULT), "key": ("work", VAULT), "exported key": (VAULT,),
              "admin key": (KEEPER, VAULT)}  # fmt: skip
    for name, machines in places.items():
        for machine in machines:
            assert canary.files_with(recorded.lab, machine, recorded.secrets[name]) != [], name


def test_the_journals_have_what_failed(recorded: Recorded) -> None:
    assert b"qborg.RunBackup: server-unreachable" in recorded.journals["work"]
    assert re.search(rb"qborg-run\[\d+\]: \S+: ", recorded.journals["work"])


def test_what_is_planted_is_found(recorded: Recorded) -> None:
    lab, text = recorded.lab, PLANTED.decode()
    for place in ("/tmp/planted", "/var/log/planted", "/rw/config/planted"):
        lab.exec("work", ["dd", "status=none", f"of={place}"], user="root", input=PLANTED,
                 check=True)  # fmt: skip
        assert place in canary.files_with(lab, "work", PLANTED)
    say = ["python3", "-c", "import sys, syslog; syslog.syslog(sys.stdin.read())"]
    for qube in JOURNALS:
        lab.exec(qube, say, input=PLANTED, check=True)
        assert PLANTED in journal.kept(lab, qube) and journal.FILE in canary.files_with(
            lab, qube, PLANTED)
    seen = [recorded.programs.read_bytes().count(PLANTED)]

    lab.exec("work", ["true", text], check=True)
    seen.append(recorded.programs.read_bytes().count(PLANTED))
    lab.exec("work", ["true"], env={"PLANTED": text}, check=True)
    seen.append(recorded.programs.read_bytes().count(PLANTED))

    assert seen[0] < seen[1] < seen[2]


def test_the_files_that_hold_secrets_are_private(recorded: Recorded) -> None:
    open_to_others = ["-type", "f", "-perm", "/077", "!", "-name", "*.pub"]

    for qube, folder in ((KEEPER, STATE), (VAULT, STATE), ("work", "/home/user/.ssh/backups/")):
        found = recorded.lab.exec(qube, ["find", "-L", folder, *open_to_others], check=True)
        assert found.stdout == b""
