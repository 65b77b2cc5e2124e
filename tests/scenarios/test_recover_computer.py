"""A new computer, and a vault made of a database or of paper: of that alone the account comes."""

from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, lost, person, state
from scenarios.lost import KEEPER, RECOVER, STATE, VAULT

SETTINGS = "/home/user/.config/qubes-borg/settings.toml"
WITH_VAULT = (*RECOVER, "--vault", VAULT)
_TELLS_DOM0 = f"""
app.domains["dom0"].features["x-qborg-maintenance"] = str(app.domains["{KEEPER}"].uuid)
del app.domains["work"].features["x-qborg"]
"""


@pytest.mark.parametrize("loses", [lost.all_but_paper, lost.all_but_a_database])
def test_of_paper_or_a_database_the_account_comes_back(
    escrowed: Lab, loses: Callable[[Lab], None]
) -> None:
    loses(escrowed)
    keys, host_key = lost.keys(escrowed), person.fingerprint(escrowed)

    said = person.runs(escrowed, *WITH_VAULT, "--fingerprint", host_key)

    assert "vault has the account zh1234@backup.example of qubes, publication 1" in said
    told = escrowed.run(["cat", SETTINGS], check=True).stdout.decode()
    assert f'host_key = "{host_key}"' in told and 'remote_borg = "borg14"' in told
    assert escrowed.qubes()[KEEPER]["state"] == "Halted"
    assert lost.keys(escrowed) == keys
    assert "nothing was changed" in person.runs(escrowed, "qvm-borg-setup")
    person.runs(escrowed, "qvm-borg-enroll", "personal")
    assert b"repos/qubes-work" in lost.keys(escrowed)
    person.runs(escrowed, "qvm-borg-check", "personal")


def test_of_qubes_own_backup_the_restored_qubes_go_on(escrowed: Lab) -> None:
    archives, command = state.archives(escrowed), (
        *WITH_VAULT, "--fingerprint", person.fingerprint(escrowed))
    lost.comes_out_of_a_backup(escrowed)
    refused = person.is_refused(escrowed, *command, code=3, says="was not made by qubes-borg")
    assert "a maintenance qube out of a backup: rename it" in refused
    bent.clones(escrowed, KEEPER, "kept-aside")
    lost.removes(escrowed)

    person.runs(escrowed, *command)
    person.runs(escrowed, "qvm-borg-enroll", "work", "--continue", "work")

    lost.starts(escrowed, "work")
    assert state.archives(escrowed)[:-1] == archives
    assert lost.keys(escrowed).count(b"repos/qubes-work") == 1
    person.runs(escrowed, "qvm-borg-check", "work")


def test_of_qubes_own_backup_and_no_vault_the_maintenance_qube_goes_on(enrolled: Lab) -> None:
    archives, settings = state.archives(enrolled), enrolled.run(["cat", SETTINGS]).stdout
    lost.comes_out_of_a_backup(enrolled)
    enrolled.run(["mkdir", "-p", SETTINGS.rpartition("/")[0]], check=True)
    enrolled.run(["dd", f"of={SETTINGS}"], input=settings, check=True)

    bent.in_dom0(enrolled, _TELLS_DOM0)
    person.runs(enrolled, "qvm-borg-setup")
    person.runs(enrolled, "qvm-borg-enroll", "work", "--no-escrow")

    lost.starts(enrolled, "work")
    assert state.archives(enrolled)[:-1] == archives


def test_of_paper_a_former_repository_comes_back_too(escrowed: Lab) -> None:
    """The account's list of keys on the server has none of it, and a kit has no registry."""
    (archive,), former = state.archives(escrowed), "work.former1"
    person.runs(escrowed, "qvm-borg-rotate", "--new-repository", "work")
    lost.all_but_paper(escrowed)
    person.runs(escrowed, *WITH_VAULT, "--fingerprint", person.fingerprint(escrowed))

    shown = person.runs(escrowed, "qvm-borg-restore", former, "--to-disposable", "--archive",
                        archive)  # fmt: skip
    made = person.runs(escrowed, "qvm-borg-recover", former, "--yes", "--archive", archive)

    assert archive in shown
    lost.starts(escrowed, former)
    assert "files, " in made and archive in state.archives(escrowed, former)
    listed = escrowed.server.exec(["ls", f"{person.HOME}/repos"]).stdout.split()
    assert sorted(listed) == [b"qubes-work", f"qubes-{former}".encode()]
    assert f'repos/qubes-{former}"'.encode() in lost.keys(escrowed)


# The options, and how the command ends.
REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "not-confirmed": (WITH_VAULT, 16, "the server's host key is not confirmed"),
    "another-fingerprint": ((*WITH_VAULT, "--fingerprint", f"SHA256:{'x' * 43}"), 16,
                            "not the fingerprint that was given"),
    "no-vault": (RECOVER, 14, "there is no vault yet"),
    "another-computer": ((*WITH_VAULT, "--machine", "laptop"), 14, "no recovery record"),
    "a-vault-with-a-network": ((*RECOVER, "--vault", "personal"), 3, "has a netvm"),
    "an-empty-vault": ((*RECOVER, "--vault", "offline"), 14, "no recovery record"),
}  # fmt: skip


@pytest.fixture(scope="module")
def anew(escrowed_once: Lab) -> Lab:
    """A new computer, restored once: for rows that make neither settings nor a qube."""
    lost.is_a_new_computer(escrowed_once)
    return escrowed_once


@pytest.mark.parametrize(("command", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_confirmed_makes_nothing(
    anew: Lab, command: tuple[str, ...], code: int, says: str
) -> None:
    before = state.everything(anew)

    person.is_refused(anew, *command, code=code, says=says)

    assert state.everything(anew) == before


def test_after_paper_the_vaults_record_is_accepted_once_it_is_proved(escrowed: Lab) -> None:
    lost.types_the_kit(escrowed)
    lost.removes(escrowed)
    person.runs(escrowed, *RECOVER)
    person.is_refused(escrowed, "qvm-borg-check", "work", code=8, says="another record")
    person.is_refused(escrowed, "qvm-borg-enroll", "work", code=14, says="does not have the record")

    said = person.runs(escrowed, "qvm-borg-recover", "--accept-record", "work")

    assert "work: the record in vault opens qubes-work" in said
    assert "nothing was changed" in person.runs(escrowed, "qvm-borg-enroll", "work")
    person.runs(escrowed, "qvm-borg-check", "work")
    person.runs(escrowed, "qvm-borg-backup", "work")


def test_a_record_that_does_not_open_the_repository_is_not_accepted(escrowed: Lab) -> None:
    lost.starts(escrowed)
    edit = ("import json, pathlib, sys; old = pathlib.Path(sys.argv[1]); new = json.loads("
            "old.read_bytes()); new |= {'passphrase': 'x' * 43}; old.with_name('000002.json')"
            ".write_text(json.dumps(new, sort_keys=True, separators=(',', ':')))")  # fmt: skip
    record = f"{STATE}/records/qubes-work/000001.json"
    escrowed.exec(VAULT, ["python3", "-c", edit, record], check=True)
    noted = state.qubesd(escrowed)["work"]["features"]["x-qborg"]

    said = person.runs(escrowed, "qvm-borg-recover", "--accept-record", "work", code=19)

    assert "does not open the repository" in said
    assert state.qubesd(escrowed)["work"]["features"]["x-qborg"] == noted
