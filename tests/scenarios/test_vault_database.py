"""The records in the person's own KeePassXC database, in the vault: there, whole, and enough."""

import select
from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import bent, keepass, person, state
from scenarios.keepass import FILE, RECORDS, VAULT

ENTRY = "qubes-borg/qubes-work"
NOTE = "/home/user/note"
KEEPER = "borg-maintenance"


def _digests(lab: Lab) -> list[bytes]:
    request, replies = b'{"nonce":"%s"}' % (b"0" * 32), []
    for qube in (KEEPER, "work"):
        about = {"QREXEC_REMOTE_DOMAIN": "dom0", "QREXEC_SERVICE_ARGUMENT": f"qubes-{qube}"}
        replies.append(lab.exec(VAULT, ["/etc/qubes-rpc/qborg.DescribeRecord"], input=request,
                                env=about, check=True).stdout)  # fmt: skip
    return [line for reply in replies for line in reply.split(b"\n") if line[:7] == b"record="]


@pytest.fixture(scope="module")
def database(world: Lab) -> Lab:
    """work is backed up, and a vault keeps its record beside its owner's own database."""
    world.faults.clear()
    world.restore("enrolled")
    person.runs(world, "qvm-borg-setup", "--vault", VAULT)
    person.runs(world, "qvm-borg-enroll", "work")
    world.exec("work", ["dd", f"of={NOTE}"], input=b"what was in it\n", check=True)
    person.runs(world, "qvm-borg-backup", "work")
    world.do("start", VAULT)
    keepass.makes_a_database(world)
    world.snapshot("database")
    return world


@pytest.fixture
def vault(database: Lab) -> Lab:
    """The same, again as it was."""
    database.restore("database")
    return database


def _carries(lab: Lab, entry: str, *names: str) -> list[str]:
    """Carry attachments of an entry to a qube that knows nothing; answer the notes' parts."""
    for name in names:
        lab.exec("personal", ["dd", f"of=/home/user/{name}"], check=True,
                 input=keepass.saves(lab, entry, name))  # fmt: skip
    return keepass.field(lab, entry, "Notes").split("\n\n")


def test_by_the_notes_of_its_entry_alone_a_file_comes_back(vault: Lab) -> None:
    assert keepass.exports(vault).returncode == 0
    vault.do("start", "personal")
    notes = _carries(vault, ENTRY, "ssh-key", "known_hosts", "borg-key")
    passphrase = keepass.field(vault, ENTRY, "Password")
    [steps] = [part for part in notes if part.startswith("chmod 600 ")]
    [repair] = [part for part in notes if part.startswith("borg key import ")]
    before, _list, extract = steps.rpartition("borg list\n")
    assert extract == "borg extract ::ARCHIVE"

    # borg asks for the passphrase; here nobody is there to type it.
    script = (f"{before}\nexport BORG_PASSPHRASE='{passphrase}'\n{repair}\n"
              "ARCHIVE=$(borg list --short --last 1)\nborg extract ::$ARCHIVE\n")  # fmt: skip
    done = vault.exec("personal", ["/bin/sh", "-euc", script])

    assert done.returncode == 0, done.stderr.decode()
    back = vault.exec("personal", ["cat", f"/home/user{NOTE}"], check=True)
    assert back.stdout == b"what was in it\n"


def test_by_the_notes_of_the_account_its_repositories_are_found(vault: Lab) -> None:
    assert keepass.exports(vault).returncode == 0
    vault.do("start", "personal")
    notes = _carries(vault, "qubes-borg/account of qubes", "ssh-key", "known_hosts")
    [steps] = [part for part in notes if part.startswith("chmod 600 ")]

    done = vault.exec("personal", ["/bin/sh", "-euc", steps])

    assert done.stdout == b"qubes-work\n", done.stderr.decode()


def test_a_vault_that_was_lost_is_made_again_of_the_file(vault: Lab) -> None:
    digests, records = _digests(vault), state.files(vault, VAULT, RECORDS)
    assert b"record=none" not in digests and keepass.exports(vault).returncode == 0
    vault.exec(VAULT, ["rm", "-r", RECORDS], check=True)
    assert _digests(vault) == [b"record=none"] * 2

    said = keepass.imports(vault).stdout.decode()

    assert "account of qubes: taken\nqubes-work: taken\n" in said
    assert _digests(vault) == digests and state.files(vault, VAULT, RECORDS) == records
    assert b"nothing was changed" in keepass.imports(vault).stdout
    person.runs(vault, "qvm-borg-enroll", "work", "--quota", "50M")
    account, work = _digests(vault)
    assert work == digests[1] and account not in (digests[0], b"record=none")


def test_what_was_the_persons_own_stays_and_the_old_file_too(vault: Lab) -> None:
    before = vault.exec(VAULT, ["cat", FILE], check=True).stdout

    assert keepass.exports(vault).returncode == 0 == keepass.exports(vault).returncode

    listed = vault.exec(VAULT, ["ls", "/home/user"], check=True).stdout.decode()
    [kept] = [name for name in listed.split("\n") if ".kdbx.before-" in name]
    assert vault.exec(VAULT, ["cat", f"/home/user/{kept}"], check=True).stdout == before
    keepass.cli(vault, "attachment-export", FILE, "Privat/Bank", "passport", "/home/user/out")
    vault.exec(VAULT, ["cmp", "/usr/bin/env", "/home/user/out"], check=True)
    assert keepass.field(vault, "Privat/Bank", "Password") == "geheim"


def test_no_secret_is_in_an_argument_or_an_environment(vault: Lab) -> None:
    passphrase = vault.exec("work", ["cat", ".ssh/backups/borgpass"], check=True).stdout.strip()
    look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || :"
    with vault.popen(VAULT, ["qborg-vault-export", FILE, "--password-fd", "0"]) as tool:
        assert tool.stdin is not None
        tool.stdin.write(f"{keepass.MASTER}\n".encode())
        tool.stdin.close()
        seen, looks = b"", 0
        while not select.select([tool], [], [], 0)[0]:
            seen += vault.exec(VAULT, ["/bin/sh", "-c", look], user="root").stdout
            looks += 1
    assert looks > 3 and b"keepassxc-cli\0" in seen
    assert passphrase not in seen and keepass.MASTER.encode() not in seen


@dataclass(frozen=True)
class Bad:
    """What root does to the directory of the database, and what the refusal says."""

    does: str
    says: str


# How many KiB beside the database: for no copy, for a copy, for a copy and its lesser brother.
_SMALL = """mkdir /home/user/small
mount -t tmpfs -o size=$(( $(stat -c %s "{file}") / 1024 + {more} ))k,uid=1000,mode=700 t \
/home/user/small
cp "{file}" /home/user/small/p.kdbx; chown user /home/user/small/p.kdbx"""
_PLACE = "/home/user/small"
BAD = {
    "full-for-the-copy": Bad(_SMALL.format(file=FILE, more=8), "pace"),
    "full-for-the-records": Bad(_SMALL.format(file=FILE, more=40), "pace"),
    "full-for-the-merge": Bad(_SMALL.format(file=FILE, more=52), "pace"),
    "read-only": Bad(f"mkdir {_PLACE}; cp '{FILE}' {_PLACE}/p.kdbx; chmod 644 {_PLACE}/p.kdbx",
                     "Permission denied"),
    "unreadable": Bad(f"mkdir {_PLACE}; cp '{FILE}' {_PLACE}/p.kdbx; chown user {_PLACE}; "
                      f"chmod 600 {_PLACE}/p.kdbx", "Permission denied"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_where_it_cannot_write_the_file_stays(vault: Lab, bad: Bad) -> None:
    bent.root_does(vault, VAULT, bad.does)
    before = state.files(vault, VAULT, "/home/user")

    done = keepass.exports(vault, f"{_PLACE}/p.kdbx")

    error, hint, _end = done.stderr.decode().split("\n")
    assert done.returncode == 1 and error.startswith("error: ") and bad.says in error, error
    assert hint.startswith("hint: ")
    assert state.files(vault, VAULT, "/home/user") == before
