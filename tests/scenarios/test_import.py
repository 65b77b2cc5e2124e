"""The old scripts' users: their keys taken over with their archives; or refused, nothing done."""

from dataclasses import dataclass

import pytest

from lab import Lab
from scenarios import old_world, person, state
from scenarios.old_world import CLIENT, FILE, KEEPER, NAME, OLD
from scenarios.refusal import Refused, changes_nothing

WORK = ("work", "--no-escrow")
IMPORT = ("qvm-borg-enroll", *WORK, "--import", OLD)
LEAKED = "count as leaked until they are rotated"


@pytest.fixture(scope="module")
def taught(world: Lab) -> Lab:
    """One lab in which the old scripts were used, kept as a state of its own."""
    world.faults.clear()
    world.restore("ready")
    old_world.is_made(world)
    world.snapshot("old")
    return world


@pytest.fixture
def old(taught: Lab) -> Lab:
    """Set up, and work was backed up by the old scripts."""
    taught.faults.clear()
    taught.restore("old")
    return taught


@pytest.fixture(scope="module")
def steady_old(taught: Lab) -> Lab:
    """The same, restored once: for rows that change nothing but what they bend, and mend again."""
    taught.faults.clear()
    taught.restore("old")
    return taught


def _is_taken_over(lab: Lab) -> None:
    published = old_world.keys(lab)
    assert " cd " not in published and "cd repos" not in published
    assert published.count("ssh-rsa ") == 1 and "--restrict-to-repository repos/qubes-work" in (
        published)
    assert "old-archive" in state.archives(lab) and len(state.archives(lab)) == 2
    there = lab.server.exec(["ls", f"{person.HOME}/repos"], check=True).stdout
    assert there.split() == [b"qubes-work"]


def test_old_keys_are_taken_over_with_their_archives(old: Lab) -> None:
    said = person.runs(old, *IMPORT)

    assert LEAKED in said and "the old scripts' files and job were put aside" in said
    _is_taken_over(old)
    crontab = old.exec(CLIENT, ["crontab", "-l"], check=True).stdout
    assert b"\n# put aside by qubes-borg: 03 * * * * /usr/bin/borgmatic" in crontab
    kept = old.exec(CLIENT, ["ls", ".ssh/backups.d/old-scripts"], check=True).stdout
    assert b"borgpass" in kept and b"borgmatic.cfg" in kept
    person.runs(old, "qvm-borg-restore", "work", FILE, "--to-directory", "/home/user/back",
                "--archive", "old-archive")  # fmt: skip
    back = old.exec(CLIENT, ["cat", f"/home/user/back{FILE}"], check=True).stdout
    assert back == b"old\n"


def test_once_imported_it_is_like_any_other_but_for_the_warning(old: Lab) -> None:
    person.runs(old, *IMPORT)
    before = state.everything(old)

    again, plain = person.runs(old, *IMPORT), person.runs(old, "qvm-borg-enroll", *WORK)

    assert state.everything(old) == before
    for said in (again, plain):
        assert "nothing was changed" in said and LEAKED in said
    assert LEAKED in person.runs(old, "qvm-borg-backup", "work")
    assert LEAKED not in person.runs(old, "qvm-borg-enroll", "personal", "--no-escrow")
    told = person.is_refused(old, "qvm-borg-status", code=27, says="1 of 2 qubes need you: work")
    assert told.count(LEAKED) == 1


def test_a_dry_run_says_that_the_repository_moves(old: Lab) -> None:
    before = state.everything(old)

    said = person.runs(old, *IMPORT, "--dry-run")

    assert OLD in said and "moves there" in said
    assert state.everything(old) == before


@pytest.mark.parametrize("service", ["MakeKeys", "PublishKeys", "InitRepository", "SendBundle"])
def test_a_killed_import_goes_on_without_the_directory(old: Lab, service: str) -> None:
    old.faults.add(where="qrexec", match=f"qborg.{service}+*", when="after",
                   action="kill-caller")  # fmt: skip
    assert old.run(list(IMPORT)).returncode != 0
    old.faults.clear()

    said = person.runs(old, "qvm-borg-enroll", *WORK)

    assert LEAKED in said
    _is_taken_over(old)


def test_borg_still_asks_about_any_other_move(old: Lab) -> None:
    person.runs(old, *IMPORT)
    note = ("for f in .config/borg/security/*/location; do printf %s "
            "ssh://bakserver/./repos/elsewhere > $f; done; rm -rf .cache/borg")
    old.exec(CLIENT, ["/bin/sh", "-euc", note], check=True)

    assert old.exec(CLIENT, ["qborg-run"]).returncode == 1


@dataclass(frozen=True)
class Bent:
    """What is bent in a copy of the old directory, what the refusal says, what DIR is beside it."""

    script: str
    says: str
    directory: str = "vm-work"


@dataclass(frozen=True)
class Met:
    """What is met at the server, what the refusal says, and how that is mended again."""

    script: str
    says: str
    mend: str


_PAIR = "ssh-keygen -q -t ed25519 -N '' -f ../other; cp ../other.pub vm-work.openssh.pub"
ROWS = {
    "missing": Bent(":", "No such file", "nobody"),
    "not-readable": Bent("chmod 0 borgpass", "borgpass: Permission denied"),
    "not-enterable": Bent("chmod 0 .", "Permission denied"),
    "a-file": Bent(":", "no directory", "vm-work/borgpass"),
    "another-layout": Bent("rm borgrepo", "borgrepo: No such file"),
    "linked-directory": Bent("ln -s vm-work ../linked", "a link", "linked"),
    "linked-file": Bent("mv borgpass ../p; ln -s ../p borgpass", "borgpass: "),
    "linked-key": Bent("mv vm-work.openssh ../k; ln -s ../k vm-work.openssh", "vm-work.openssh: "),
    "fifo": Bent("rm borgpass; mkfifo borgpass", "borgpass: not a regular file"),
    "endless": Bent("head -c 99999 /dev/zero > borgpass", "longer than allowed"),
    "key-with-a-passphrase": Bent(
        "ssh-keygen -q -p -P '' -N secret1 -f vm-work.openssh", "the key has a passphrase"),
    "no-key": Bent("echo nothing > vm-work.openssh", "or is no key"),
    "another-pair": Bent(_PAIR, "no pair"),
    "public-key-with-options": Bent("sed -i 's/^/restrict /' vm-work.openssh.pub", "no key of RSA"),
    "weak-key": Bent(
        "rm vm-work.openssh*; ssh-keygen -q -t rsa -b 1024 -N '' -f vm-work.openssh",
        "no key of RSA"),
    "repository-climbs": Bent("printf ../../etc > borgrepo", "borgrepo: neither"),
    "repository-elsewhere": Bent("printf ext::sh > borgrepo", "borgrepo: neither"),
    "passphrase-empty": Bent(": > borgpass", "borgpass: not 1 to 200"),
    "passphrase-not-ascii": Bent("printf 'p\\303\\251' > borgpass", "borgpass: not 1 to 200"),
    "wrong-passphrase": Bent("printf wrong > borgpass", "cannot open repos/vm-work"),
}  # fmt: skip
SERVER = {
    "no-repository": Met(
        "mv repos/vm-work repos/x", "the server has no repository", "mv repos/x repos/vm-work"),
    "target-exists": Met(
        "mkdir repos/qubes-work", "has a repos/qubes-work already", "rmdir repos/qubes-work"),
    "in-use": Met("mkdir repos/vm-work/lock.exclusive", "is in use",
                  "rmdir repos/vm-work/lock.exclusive"),
    "plain-line-of-that-key": Met(
        "tail -n 1 .ssh/authorized_keys | sed 's/.*rc ssh/ssh/' >> .ssh/authorized_keys",
        "a line in authorized_keys that the scripts did not write",
        "sed -i '$d' .ssh/authorized_keys"),
}  # fmt: skip


def _is_refused(lab: Lab, directory: str, says: str) -> None:
    refused = Refused((*WORK, "--import", directory), 21, says)
    said = changes_nothing(lab, "qvm-borg-enroll", refused)
    assert "the old keys cannot be taken over" in said


@pytest.mark.parametrize("name", ROWS)
def test_what_cannot_be_taken_over_is_told_and_nothing_changes(steady_old: Lab, name: str) -> None:
    row, top = ROWS[name], f"/home/user/rows/{name}"
    script = f"mkdir -p {top}; cp -a {OLD} {top}/vm-work; cd {top}/vm-work; {row.script}"
    steady_old.exec(KEEPER, ["/bin/sh", "-euc", script], check=True)

    _is_refused(steady_old, f"{top}/{row.directory}", row.says)


@pytest.mark.parametrize("row", SERVER.values(), ids=SERVER)
def test_what_is_met_at_the_server_is_told_and_nothing_changes(steady_old: Lab, row: Met) -> None:
    old_world.at_server(steady_old, row.script)
    try:
        _is_refused(steady_old, OLD, row.says)
    finally:
        old_world.at_server(steady_old, row.mend)


def test_an_enrolled_qube_takes_no_old_keys(taught: Lab) -> None:
    taught.restore("old")
    keys = taught.exec(KEEPER, ["tar", "-c", "-C", "/home/user", "host-keys"], check=True)
    taught.restore("enrolled")
    taught.exec(KEEPER, ["tar", "-x", "-C", "/home/user"], input=keys.stdout, check=True)

    row = Refused((*WORK, "--import", OLD), 21, "qubes-work is enrolled with other keys")
    changes_nothing(taught, "qvm-borg-enroll", row)


WORDS = {
    "two-qubes": (("work", "personal", "--no-escrow", "--import", OLD), "exactly one qube"),
    "relative": ((*WORK, "--import", f"host-keys/{NAME}"), "--import"),
    "escape": ((*WORK, "--import", "/home/\x1b[2J"), "--import"),
    "quota-small": ((*WORK, "--quota", "9M"), "--quota"),
    "quota-words": ((*WORK, "--quota", "50G --x"), "--quota"),
    "quota-empty": ((*WORK, "--quota", ""), "--quota"),
}


@pytest.mark.parametrize(("words", "says"), WORDS.values(), ids=WORDS)
def test_a_wrong_word_changes_nothing(steady: Lab, words: tuple[str, ...], says: str) -> None:
    changes_nothing(steady, "qvm-borg-enroll", Refused(words, 2, says))
