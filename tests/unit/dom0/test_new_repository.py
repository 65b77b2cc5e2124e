"""A new repository for an enrolled qube: dom0 notes the former one's name first, and compares."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qborg_wire.names import fingerprint
from qvm_borg import errors, record, revoke
from qvm_borg.tools import enroll, rotate
from unit.dom0.honest import FINGERPRINT, KEY, Honest
from unit.dom0.machine import Vm, answer, failure
from unit.dom0.test_client_keys import NEW, OTHER, _calls, _enrols
from unit.dom0.test_escrow import noted

FORMER = "qubes-work.former1"
ID = "4" * 64


@pytest.fixture
def replacing(escrowed: Honest, monkeypatch: pytest.MonkeyPatch) -> Honest:
    """work is enrolled, and what it makes next is a key, a passphrase and a repository of its own.

    As in a client, the record of the new one is another than the one of before once it is sent.
    """
    escrowed.keys["qubes-work"] = OTHER
    escrowed.rotates.add("work")
    escrowed.renewed["qubes-work"] = NEW["record"]
    escrowed.values["OpenRepository"] = {"repository_id": ID, "key_digest": NEW["key"]}
    submits = escrowed._SubmitRecord

    def submitted(vm: Vm, argument: str) -> dict[str, str]:
        escrowed.exported["qubes-work"] = NEW["key"]
        return submits(vm, argument)

    monkeypatch.setattr(escrowed, "_SubmitRecord", submitted)
    return escrowed


def _replaces(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = rotate.main(["--new-repository", "work", *args], app=machine.app)
    return code


def _is_replaced(machine: Honest) -> None:
    now = noted(machine)
    assert now.fingerprint == fingerprint(OTHER)
    assert not {"rotation", "next", "former"} & now.notes.keys() and "former" not in now.digests
    assert (now.digests["record"], now.digests["key"]) == (NEW["record"], NEW["key"])
    assert now.digests["repository"] == ID and now.step == "forget"
    assert "0" not in (now.times["proved"], now.times["backup"])
    assert not list(machine.policy.iterdir())


def test_the_former_one_is_proved_copied_and_moved_before_a_new_one_is_made(
    replacing: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _replaces(replacing) == 0

    _is_replaced(replacing)
    asked = ("DescribeClient", "DescribeRecord", "CheckSetup", "SendRecord")
    assert [name for name in _calls(replacing) if name not in asked] == [
        "ReleaseRecord", "LendRepository", "ProveRecord",
        "CopyRecord", "PrepareBundle", "RegisterKey", "PublishKeys",
        "RegisterKey", "OpenRepository", "RegisterKey", "SubmitRecord", "AdoptBundle",
        "RunBackup", "ProveBundle", "ReleaseRecord", "LendRepository",
        "ProveRecord", "RegisterKey"]
    said = capsys.readouterr().out
    assert f"its repository is to be {FORMER}" in said
    assert f"the former archives stay in {FORMER}" in said and "nothing anew" not in said


def _kept(machine: Honest, name: str, values: dict[str, str], folder: Path) -> None:
    """Have a service answer these values, and keep what it was asked."""
    read, write = answer(**values)
    machine.answers[name] = [read, ["keep", str(folder / name)], write]


def _asked(folder: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / name).read_bytes())
    return found


def test_each_side_is_told_what_the_former_one_is_called(
    replacing: Honest, tmp_path: Path
) -> None:
    before = noted(replacing)
    copied = {"record": "6" * 64, "key": "2" * 64, "changed": "yes"}
    _kept(replacing, "CopyRecord", copied, tmp_path)
    _kept(replacing, "OpenRepository", {
        "repository_id": ID, "key_digest": NEW["key"], "created": "yes",
        "encryption": "repokey-blake2"}, tmp_path)
    _kept(replacing, "PublishKeys", {
        "epoch": "2", "keys": "1", "changed": "yes", "digest": "d" * 64, "awaited": "none"},
        tmp_path)
    stages: list[record.Record] = []
    registers = replacing._RegisterKey
    replacing._RegisterKey = (  # type: ignore[method-assign]
        lambda vm, argument: (stages.append(noted(replacing)), registers(vm, argument))[1])

    assert _replaces(replacing) == 0

    assert _asked(tmp_path, "CopyRecord") | {"nonce": ""} == {
        "nonce": "", "record": before.digests["record"], "former": FORMER}
    assert _asked(tmp_path, "OpenRepository")["repository"] == "new"
    # The name is noted before anything, the key before it is registered.
    assert stages[0].notes["former"] == FORMER and stages[0].digests["former"] == "6" * 64
    assert stages[0].notes["next"] == fingerprint(OTHER)
    assert stages[0].digests["repository"] == "1" * 64, "the former one's"
    assert stages[2].digests["repository"] == ID and "backup" not in stages[2].times


@pytest.mark.parametrize("service", [
    "CopyRecord", "PrepareBundle", "RegisterKey", "PublishKeys", "OpenRepository", "SubmitRecord",
    "AdoptBundle", "RunBackup", "ProveBundle",
])
def test_what_fails_is_noted_and_any_next_run_ends_it(
    replacing: Honest, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replacing.answers[service] = failure("internal")
    assert _replaces(replacing) != 0
    assert noted(replacing).notes["former"] == FORMER and noted(replacing).times["proved"] == "0"
    del replacing.answers[service]
    capsys.readouterr()

    assert (_enrols(replacing) if service == "AdoptBundle" else _replaces(replacing)) == 0

    _is_replaced(replacing)
    said = capsys.readouterr().out
    assert ("goes on" in said) == (service != "AdoptBundle") and "former2" not in said


def test_a_backup_of_the_former_one_in_between_is_none_of_the_new_one(replacing: Honest) -> None:
    replacing.answers["PublishKeys"] = failure("internal")
    _replaces(replacing)
    assert noted(replacing).times["backup"] != "0"
    del replacing.answers["PublishKeys"]

    assert _enrols(replacing) == 0

    assert _calls(replacing).count("RunBackup") == 1


TAKEN = {
    "by-a-qube": lambda machine: machine.qube("work.former1"),
    "in-the-vault": lambda machine: machine.kept.update({FORMER: "5" * 64}),
}


@pytest.mark.parametrize("takes", TAKEN.values(), ids=TAKEN)
def test_a_name_that_is_taken_is_not_chosen(
    replacing: Honest, takes: object, capsys: pytest.CaptureFixture[str]
) -> None:
    takes(replacing)  # type: ignore[operator]

    assert _replaces(replacing) == 0

    assert "its repository is to be qubes-work.former2" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["occupied", "revoked"])
def test_a_name_that_the_server_has_is_not_chosen(
    replacing: Honest, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # It says so of every name that it is asked for: then there is an end to it.
    replacing.values["CheckSetup"] = {field: FORMER}

    assert _replaces(replacing) == errors.EnrolmentRefused.exit_code

    assert "no name to get" in capsys.readouterr().err and "rotation" not in noted(replacing).notes


def test_a_long_name_gets_one_that_a_qube_may_have(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.qube("w" * 31)
    assert enroll.main(["w" * 31], app=escrowed.app) == 0
    escrowed.answers["CopyRecord"] = failure("vault-full")

    assert rotate.main(["w" * 31, "--new-repository"], app=escrowed.app) != 0

    said = capsys.readouterr()
    assert f"its repository is to be qubes-{'w' * 23}.former1," in said.out
    assert "the vault keeps no more records" in said.err


LIES = {
    "the-vault-copies-another-key": ("CopyRecord", {"key": "7" * 64}, "CopyRecord"),
    "another-is-registered": ("RegisterKey", {"fingerprint": FINGERPRINT}, "RegisterKey"),
    "the-former-record-is-kept": ("DescribeRecord", {"record": "7" * 64}, "DescribeRecord"),
    "another-key-is-kept": ("DescribeRecord", {"key": "7" * 64}, "SubmitRecord"),
}


@pytest.mark.parametrize(("service", "values", "last"), LIES.values(), ids=LIES)
def test_who_tells_something_else_is_not_believed(
    replacing: Honest, service: str, values: dict[str, str], last: str
) -> None:
    if service == "DescribeRecord":
        describes = replacing._DescribeRecord
        replacing._DescribeRecord = (  # type: ignore[method-assign]
            lambda vm, argument: {**describes(vm, argument), **(
                values if argument == "qubes-work" else {})})
    else:
        replacing.values[service] = values

    assert _replaces(replacing) == errors.WireError.exit_code

    assert noted(replacing).fingerprint == FINGERPRINT and "former" in noted(replacing).notes
    assert last in _calls(replacing) and "AdoptBundle" not in _calls(replacing)


def test_what_the_vault_does_not_open_is_not_replaced(replacing: Honest) -> None:
    replacing.values["ProveRecord"] = {"proof": "7" * 64}
    before = noted(replacing)

    assert _replaces(replacing) == errors.ProofFailed.exit_code

    assert noted(replacing) == before and "PrepareBundle" not in _calls(replacing)


def test_one_that_is_cut_can_be_revoked_at_once(replacing: Honest) -> None:
    replacing.answers["RegisterKey"] = failure("internal")
    _replaces(replacing)
    replacing.values["RevokeKeys"] = {
        "public_key": OTHER, "fingerprint": fingerprint(OTHER), "key": "refused"}

    with pytest.raises(errors.PartialFailure):  # its bundle stays: it may open the new one alone
        revoke.revoke(replacing.session(), "work", None)

    assert "RemoveBundle" not in _calls(replacing) and KEY != OTHER


def test_a_plain_rotation_that_is_unfinished_ends_as_such(
    replacing: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    replacing.answers["PrepareBundle"] = failure("internal")
    assert rotate.main(["work"], app=replacing.app) != 0
    del replacing.answers["PrepareBundle"]
    del replacing.values["OpenRepository"]
    replacing.exported["qubes-work"] = NEW["key"]

    assert _replaces(replacing) == 0

    assert "then run this again" in capsys.readouterr().out
    assert "CopyRecord" not in _calls(replacing)


@pytest.mark.parametrize(("more", "says"), [
    ("mail", "it takes exactly one qube"), ("--ssh-key", "leave --ssh-key out"),
    ("--passphrase", "leave --passphrase out"),
])
def test_a_wrong_command_line_changes_nothing(
    replacing: Honest, more: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        _replaces(replacing, more)

    assert stopped.value.code == 2 and replacing.app.trace == []
    assert says in capsys.readouterr().err


def test_imported_secrets_are_no_longer_its_own(replacing: Honest) -> None:
    vm = replacing.app.domains.all["work"]
    leaked = replace(noted(replacing), notes={**noted(replacing).notes, "secrets": record.IMPORTED})
    vm.features.own["x-qborg"] = record.render(leaked)

    assert _replaces(replacing) == 0

    assert "secrets" not in noted(replacing).notes
