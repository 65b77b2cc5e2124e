"""The maintenance qube is gone: the account comes back out of the vault, and all goes on."""

from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, lost, person, state
from scenarios.lost import KEEPER, RECOVER, STATE, VAULT

GOES_ON = "was enrolled already; nothing was changed"


def _all_goes_on(lab: Lab) -> None:
    """See that nothing was lost for a qube that was enrolled, and that another one can be."""
    before = lost.keys(lab)
    assert GOES_ON in person.runs(lab, "qvm-borg-enroll", "work")
    person.runs(lab, "qvm-borg-backup", "work")
    person.runs(lab, "qvm-borg-check", "work")
    person.runs(lab, "qvm-borg-check", "work", "--keys")
    assert lost.keys(lab) == before
    person.runs(lab, "qvm-borg-enroll", "personal")
    assert b"repos/qubes-work" in lost.keys(lab)


def test_without_it_every_command_names_the_way_back(escrowed: Lab) -> None:
    lost.removes(escrowed)

    said = person.is_refused(escrowed, "qvm-borg-enroll", "work", code=3,
                             says="the maintenance qube is gone")  # fmt: skip

    assert "hint: `qvm-borg-recover --account`" in said


def test_the_account_comes_back_and_all_goes_on(escrowed: Lab) -> None:
    keys, gone = lost.keys(escrowed), escrowed.qubes()[KEEPER]["uuid"]
    key = escrowed.exec(KEEPER, ["cat", f"{STATE}/admin/key"], check=True).stdout
    lost.removes(escrowed)

    said = person.runs(escrowed, *RECOVER, "--label", "red")

    assert "vault has the account zh1234@backup.example of qubes, publication 1" in said
    assert "borg-maintenance has the account" in said
    known = escrowed.qubes()
    assert known[KEEPER]["label"] == "red" and known[KEEPER]["uuid"] != gone
    assert known[KEEPER]["state"] == known[VAULT]["state"] == "Halted"
    assert lost.keys(escrowed) == keys and state.gates(escrowed) == []
    lost.starts(escrowed, KEEPER)
    files = state.files(escrowed, KEEPER, STATE)
    assert {about[0] for path, about in files.items() if about[0][0] == "-"} == {"-rw-------"}
    assert escrowed.exec(KEEPER, ["cat", f"{STATE}/admin/key"], check=True).stdout == key
    _all_goes_on(escrowed)


def test_a_second_run_changes_nothing(escrowed: Lab) -> None:
    lost.removes(escrowed)
    person.runs(escrowed, *RECOVER)
    for qube in (KEEPER, VAULT):
        lost.starts(escrowed, qube)
    before = state.everything(escrowed)

    person.runs(escrowed, *RECOVER)

    assert state.changes(before, state.everything(escrowed)) == []


def test_a_maintenance_qube_that_is_there_keeps_what_it_knows(escrowed: Lab) -> None:
    lost.starts(escrowed)
    before = state.everything(escrowed)
    lost.loses_the_newest_record(escrowed)

    person.runs(escrowed, *RECOVER)

    assert state.changes(before, state.everything(escrowed)) == [], "and the vault has it again"


def test_a_line_that_is_newer_than_the_record_stays(escrowed: Lab) -> None:
    lost.loses_the_newest_record(escrowed)
    lost.removes(escrowed)

    person.runs(escrowed, *RECOVER)

    _all_goes_on(escrowed)


def test_one_that_knows_an_older_state_gives_way_to_a_new_one(escrowed: Lab) -> None:
    older = bent.saved_maintenance(escrowed)
    person.runs(escrowed, "qvm-borg-enroll", "personal")
    lost.starts(escrowed, KEEPER)
    bent.brings_maintenance_back(escrowed, older)
    refused = person.is_refused(escrowed, "qvm-borg-enroll", "work", code=3,
                                says="knows a later state")  # fmt: skip
    assert "rename that qube" in refused and "`qvm-borg-recover --account`" in refused
    bent.clones(escrowed, KEEPER, "kept-aside")
    lost.removes(escrowed)

    person.runs(escrowed, *RECOVER)

    for qube in ("work", "personal"):
        assert GOES_ON in person.runs(escrowed, "qvm-borg-enroll", qube)


def test_a_key_that_was_revoked_since_does_not_come_back(escrowed: Lab) -> None:
    person.runs(escrowed, "qvm-borg-revoke", "work")
    lost.loses_the_newest_record(escrowed)
    lost.removes(escrowed)

    person.runs(escrowed, *RECOVER)
    person.runs(escrowed, "qvm-borg-enroll", "personal")

    assert b"repos/qubes-work" not in lost.keys(escrowed)
    person.is_refused(escrowed, "qvm-borg-enroll", "work", code=13, says="revoked")


def test_without_escrow_a_qube_goes_on_by_what_it_has_itself(enrolled: Lab) -> None:
    person.runs(enrolled, "qvm-borg-setup", "--vault", VAULT)
    lost.removes(enrolled)

    person.runs(enrolled, *RECOVER)

    assert GOES_ON in person.runs(enrolled, "qvm-borg-enroll", "work", "--no-escrow")
    person.runs(enrolled, "qvm-borg-backup", "work")


def test_keys_that_were_lost_before_the_vault_had_them_are_made_anew(vaulted: Lab) -> None:
    vaulted.faults.clear()
    vaulted.faults.add(where="qrexec", match="qborg.PublishKeys+", action="kill-tool", when="after")
    vaulted.run(["qvm-borg-enroll", "work"])
    lost.removes(vaulted)
    vaulted.faults.clear()
    person.runs(vaulted, *RECOVER)
    person.is_refused(vaulted, "qvm-borg-enroll", "work", code=14, says="does not have the record")

    person.runs(vaulted, "qvm-borg-revoke", "work")

    person.runs(vaulted, "qvm-borg-enroll", "work")
    assert lost.keys(vaulted).count(b"repos/qubes-work") == 1


def _unlocks(lab: Lab) -> None:
    unlock = ["qborg-admin", "unlock", "--passphrase-fd", "0"]
    lab.exec(KEEPER, unlock, input=b"my phrase", check=True)


def test_a_key_with_a_passphrase_waits_for_it(escrowed: Lab) -> None:
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "my phrase", "-f", f"{STATE}/admin/key"]
    escrowed.exec(KEEPER, change, check=True)
    _unlocks(escrowed)
    person.runs(escrowed, "qvm-borg-setup")
    lost.removes(escrowed)
    person.is_refused(escrowed, *RECOVER, code=26, says="the admin key is locked")
    lost.starts(escrowed, KEEPER)
    _unlocks(escrowed)

    person.runs(escrowed, *RECOVER)

    assert GOES_ON in person.runs(escrowed, "qvm-borg-enroll", "work")


def _made_anew(lab: Lab) -> None:
    """Make another maintenance qube by a set-up, as one could before there was a recovery."""
    lost.removes(lab)
    bent.in_dom0(lab, "del app.domains['dom0'].features['x-qborg-maintenance']")
    person.runs(lab, "qvm-borg-setup", code=15)


def _another_of_its_name(lab: Lab) -> None:
    bent.restores_under_its_name(lab, KEEPER)


def _another_server(lab: Lab) -> None:
    lost.removes(lab)
    edit = "s/backup.example/other.example/"
    lab.run(["sed", "-i", edit, "/home/user/.config/qubes-borg/settings.toml"], check=True)


def _no_account(lab: Lab) -> None:
    lost.removes(lab)
    lost.starts(lab)
    lab.exec(VAULT, ["rm", "-r", lost.ACCOUNT], check=True)


# What is so, the options, and how the command ends.
REFUSED: dict[str, tuple[Callable[[Lab], object], tuple[str, ...], int, str]] = {
    "made-anew": (_made_anew, (), 3, "it holds an account, or keys, already"),
    "another-of-its-name": (_another_of_its_name, (), 3, "was not made by qubes-borg"),
    "another-server": (_another_server, (), 3, "its account is not the one of"),
    "no-account": (_no_account, (), 14, "no recovery record of the account"),
    "another-fingerprint": (lost.removes, ("--fingerprint", f"SHA256:{'x' * 43}"), 16,
                            "not the fingerprint that was given"),
    "no-network": (lost.removes, ("--netvm", "personal"), 3, "provides no network"),
    "no-template": (lost.removes, ("--template", "bare"), 22, "does not offer the services"),
    "another-vault": (lost.removes, ("--vault", "offline"), 3, "the vault is vault"),
}  # fmt: skip


@pytest.mark.parametrize(("does", "options", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(
    escrowed: Lab, does: Callable[[Lab], object], options: tuple[str, ...], code: int, says: str
) -> None:
    does(escrowed)
    before = state.everything(escrowed)

    person.is_refused(escrowed, *RECOVER, *options, code=code, says=says)

    after = state.everything(escrowed)
    assert state.changes(before["qubesd"], after["qubesd"]) == []
    assert (after["dom0"], after["server"]) == (before["dom0"], before["server"])


def test_what_was_made_anew_can_be_removed_and_then_it_goes_on(escrowed: Lab) -> None:
    _made_anew(escrowed)
    person.is_refused(escrowed, *RECOVER, code=3, says="it holds an account")
    lost.removes(escrowed)

    person.runs(escrowed, *RECOVER)

    _all_goes_on(escrowed)
