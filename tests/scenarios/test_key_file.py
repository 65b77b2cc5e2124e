"""A repository whose key is a file: in the qube and in the vault, and never on the server."""

from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, keepass, lost, paper, person, state, test_kit

KEEPER, VAULT = "borg-maintenance", "vault"
MODE = ("--encryption", "keyfile-blake2")
KEY = ".ssh/backups/borgkey"
NOTE, TEXT = "/home/user/note", b"what was in it\n"
HELD = "/home/user/.local/share/qubes-borg/host-keys/qubes-work"


@pytest.fixture(scope="module")
def filed(world: Lab, kept: None) -> Callable[[], Lab]:
    """work is enrolled with a key file, and has a note in its second archive."""
    world.faults.clear()
    world.restore("vaulted")
    person.runs(world, "qvm-borg-enroll", "work", *MODE)
    world.exec("work", ["dd", f"of={NOTE}"], input=TEXT, check=True)
    person.runs(world, "qvm-borg-backup", "work")
    world.snapshot("filed")

    def again() -> Lab:
        world.restore("filed")
        return world

    return again


def _key(lab: Lab, qube: str = "work") -> bytes:
    return lab.exec(qube, ["cat", KEY], check=True).stdout


def _body(key: bytes) -> str:
    """Answer a line of the key that is nowhere else."""
    return key.split(b"\n")[3].decode()


def _is_nowhere_else(lab: Lab, qube: str = "work") -> None:
    """The server's repository has no key; neither maintenance qube nor dom0 has the file."""
    config = lab.server.exec(["cat", f"{person.HOME}/repos/qubes-{qube}/config"], check=True)
    assert b"\nid = " in config.stdout and b"key" not in config.stdout
    for place in (KEEPER, "dom0", "server"):
        tops = ["/home", "/rw", "/root", "/var/log", "/etc", "/dev/shm", "/tmp"]
        found = lab.exec(place, ["grep", "-rlF", _body(_key(lab, qube)), *tops], user="root")
        assert found.stdout == b"", place
    assert lab.exec(qube, ["stat", "-c", "%a", KEY], check=True).stdout == b"600\n"
    assert state.noted(lab, qube)["notes"]["encryption"] == "keyfile-blake2"


def _is_in_use(lab: Lab, qube: str = "work") -> None:
    """Every command is content with it, in dom0 and in the qube."""
    _is_nowhere_else(lab, qube)
    person.runs(lab, "qvm-borg-backup", qube)
    assert "a file of" in person.runs(lab, "qvm-borg-check", qube)
    said = person.runs(lab, "qvm-borg-check", qube, "--keys")
    assert f"qubes-{qube} has no key, as it should" in said
    assert "nothing was changed" in person.runs(lab, "qvm-borg-enroll", qube)
    assert state.gates(lab) == []


def _restores(lab: Lab, qube: str = "work") -> None:
    person.runs(lab, "qvm-borg-restore", qube, NOTE, "--to-directory", "/home/user/back",
                "--archive", state.archives(lab, qube)[1])
    assert lab.exec(qube, ["cat", f"/home/user/back{NOTE}"], check=True).stdout == TEXT


def test_it_backs_up_restores_and_is_proved_with_the_record_alone(
    filed: Callable[[], Lab]
) -> None:
    lab = filed()
    _is_in_use(lab)
    _restores(lab)
    for command in (["qborg-run"], ["borgmatic", "-c", ".ssh/backups/borgmatic.yaml", "rlist"],
                    ["borgbak", "check"]):
        done = lab.exec("work", command)
        assert done.returncode == 0, done.stderr


def test_the_dry_run_says_what_it_means_for_recovery(vaulted: Lab) -> None:
    said = person.runs(vaulted, "qvm-borg-enroll", "work", *MODE, "--dry-run")
    assert "to recover takes that record; the passphrase alone opens nothing" in said
    said = person.runs(vaulted, "qvm-borg-enroll", "work", "--dry-run")
    assert "has its key, under the passphrase: to recover takes the passphrase" in said


def test_another_mode_and_a_key_for_the_server_are_refused(filed: Callable[[], Lab]) -> None:
    lab = filed()
    before = state.everything(lab)

    person.is_refused(lab, "qvm-borg-enroll", "work", "--encryption", "repokey-blake2", code=13,
                      says="work: its repository was made with another encryption")
    person.is_refused(lab, "qvm-borg-recover", "--repair-key", "work", code=21,
                      says="key is a file, in its qube")

    assert state.changes(before, state.everything(lab)) == []


def test_a_qube_of_the_default_mode_keeps_it(escrowed: Lab) -> None:
    person.is_refused(escrowed, "qvm-borg-enroll", "work", *MODE, code=13,
                      says="work: its repository was made with another encryption")

    assert "nothing was changed" in person.runs(
        escrowed, "qvm-borg-enroll", "work", "--encryption", "repokey-blake2")


def test_a_rotation_changes_the_file_and_the_record(filed: Callable[[], Lab]) -> None:
    lab = filed()
    before, record = _key(lab), state.noted(lab)["digests"]["record"]

    person.runs(lab, "qvm-borg-rotate", "work")

    assert _key(lab) != before and state.noted(lab)["digests"]["record"] != record
    _is_in_use(lab)
    _restores(lab)


SELDOM = pytest.mark.kill  # for `make test-kill`; one of each kind at each commit
CUTS = ("AdoptBundle", *(pytest.param(name, marks=SELDOM) for name in (
    "PrepareBundle", "OpenRepository", "SubmitRecord", "ProveRecord")))  # fmt: skip


@pytest.mark.parametrize("service", CUTS)
def test_a_rotation_that_was_cut_goes_on(filed: Callable[[], Lab], service: str) -> None:
    lab = filed()
    lab.faults.add(where="qrexec", match=f"qborg.{service}+*", when="after", action="kill-caller")
    lab.run(["qvm-borg-rotate", "work"])
    lab.faults.clear()
    person.runs(lab, "qvm-borg-backup", "work")

    person.runs(lab, "qvm-borg-enroll", "work")

    _is_in_use(lab)


def test_the_keyholder_is_the_qube_itself(vaulted: Lab) -> None:
    person.runs(vaulted, "qvm-borg-enroll", "work", *MODE, "--keys", "client")

    _is_in_use(vaulted)
    person.runs(vaulted, "qvm-borg-rotate", "work")
    _is_in_use(vaulted)


@pytest.mark.parametrize(("options", "when"), [
    pytest.param((), "before", marks=SELDOM), ((), "after"),
    (("--keys", "client"), "before"), pytest.param(("--keys", "client"), "after", marks=SELDOM),
], ids=["maintenance-before", "maintenance-after", "client-before", "client-after"])  # fmt: skip
def test_a_birth_that_was_cut_goes_on_in_the_mode_that_was_chosen(
    vaulted: Lab, options: tuple[str, ...], when: str
) -> None:
    service = "OpenRepository" if options else "InitRepository"
    vaulted.faults.add(where="qrexec", match=f"qborg.{service}+*", when=when,
                       action="kill-caller")
    vaulted.run(["qvm-borg-enroll", "work", *MODE, *options])
    vaulted.faults.clear()

    person.runs(vaulted, "qvm-borg-enroll", "work")

    _is_in_use(vaulted)


def test_the_key_of_a_birth_that_is_put_aside_is_not_in_the_way(vaulted: Lab) -> None:
    vaulted.faults.add(where="qrexec", match="qborg.InitRepository+*", when="after",
                       action="kill-caller")
    vaulted.run(["qvm-borg-enroll", "work", *MODE])
    vaulted.faults.clear()
    vaulted.exec(KEEPER, ["rm", f"{HELD}/key-export"], check=True)
    vaulted.server.exec(["sh", "-euc", f"cd {person.HOME}/repos/qubes-work; rm data/0/1 "
                         "index.* hints.* integrity.*"], user="zh1234", check=True)

    person.runs(vaulted, "qvm-borg-enroll", "work")

    _is_in_use(vaulted)


def test_another_qube_goes_on_with_it(filed: Callable[[], Lab]) -> None:
    lab = filed()
    bent.clones(lab, "work", "office")
    lost.removes(lab, "work")
    lab.do("start", "office")

    person.runs(lab, "qvm-borg-enroll", "office", "--continue", "work")

    _is_in_use(lab, "office")
    _restores(lab, "office")


def test_a_qube_that_was_made_again_goes_on_with_nothing_but_the_record(
    filed: Callable[[], Lab]
) -> None:
    lab = filed()
    lost.removes(lab, "work")
    bent.in_dom0(lab, "vm = app.add_new_vm('AppVM', 'work', 'blue', 'debian-13')\n"
                      "vm.netvm = 'sys-firewall'\nvm.start()\n")

    person.runs(lab, "qvm-borg-enroll", "work", "--continue", "work")

    _is_in_use(lab)
    _restores(lab)


def test_a_qube_that_is_gone_comes_back_with_its_files(filed: Callable[[], Lab]) -> None:
    lab = filed()
    lost.removes(lab, "work")

    person.runs(lab, "qvm-borg-recover", "work", "--yes")

    lost.starts(lab, "work")
    assert lab.exec("work", ["cat", NOTE], check=True).stdout == TEXT
    _is_in_use(lab)
    _restores(lab)


def test_by_the_notes_of_the_database_alone_a_file_comes_back(filed: Callable[[], Lab]) -> None:
    lab = filed()
    lab.do("start", VAULT)
    keepass.makes_a_database(lab)
    assert keepass.exports(lab).returncode == 0
    lab.do("start", "personal")
    entry = "qubes-borg/qubes-work"
    for name in ("ssh-key", "known_hosts", "borg-key"):
        lab.exec("personal", ["dd", f"of=/home/user/{name}"], check=True,
                 input=keepass.saves(lab, entry, name))  # fmt: skip
    notes = keepass.field(lab, entry, "Notes")
    [steps] = [part for part in notes.split("\n\n") if part.startswith("chmod 600 ")]
    before = steps.rpartition("borg list\n")[0]
    passphrase = keepass.field(lab, entry, "Password")

    script = (f"{before}\nexport BORG_PASSPHRASE='{passphrase}'\n"
              "ARCHIVE=$(borg list --short --last 1)\nborg extract ::$ARCHIVE\n")  # fmt: skip
    done = lab.exec("personal", ["/bin/sh", "-euc", script])

    assert done.returncode == 0, done.stderr
    assert lab.exec("personal", ["cat", f"/home/user{NOTE}"], check=True).stdout == TEXT
    assert "borg key import" not in notes


def test_by_the_paper_alone_a_file_comes_back(filed: Callable[[], Lab]) -> None:
    lab = filed()
    person.runs(lab, *test_kit.PRINT)
    first, account, work = paper.pages(paper.carried(lab))
    terminal = paper.Terminal()
    test_kit.prepares(terminal, first, account.rows)
    terminal.types(work.typed["Where it is"])
    test_kit.imports_the_key(terminal, work.typed["Its key"])
    test_kit.reads_back(terminal, work, state.archives(lab)[-1])

    terminal.run(lab, test_kit.ELSEWHERE)

    found = lab.exec(test_kit.ELSEWHERE, ["cat", f"/home/user/kit{NOTE}"], check=True)
    assert found.stdout == TEXT
    _is_nowhere_else(lab)
