"""A repository that goes on with another qube: what dom0 has done for it, and what it refuses."""

from collections.abc import Callable
from types import ModuleType

import pytest

from qvm_borg import errors, record
from qvm_borg.tools import enroll, recover, restore
from unit.dom0.honest import Honest
from unit.dom0.machine import failure
from unit.dom0.test_client_keys import NEW, OTHER, _calls

OLD = "qubes-work"
PROVED = ["DescribeRecord", "ReleaseRecord", "LendRepository", "ReadManifest"]
TAKEN = ["ReleaseRecord", "PrepareBundle", "RegisterKey", "PublishKeys"]


def _goes_on(machine: Honest, name: str = "office", *args: str) -> int:
    machine.app.trace.clear()
    code: int = enroll.main([name, *(args or ("--continue", "work"))], app=machine.app)
    return code


def _noted(machine: Honest, name: str) -> record.Record:
    found = record.parse(machine.app.domains.all[name].features.own["x-qborg"])
    assert found is not None
    return found


def _is_renamed(machine: Honest) -> None:
    """Have a clone by another name, which takes the features along; the old one is removed."""
    machine.qube("office").features.own.update(machine.app.domains.all["work"].features.own)
    del machine.app.domains.all["work"]


def test_a_renamed_qube_gets_the_vaults_record_and_another_key(escrowed: Honest) -> None:
    _is_renamed(escrowed)
    escrowed.keys["qubes-office"] = OTHER

    assert _goes_on(escrowed) == 0

    mine = [name for name in _calls(escrowed) if name not in ("DescribeClient", "CheckSetup")]
    assert mine[:9] == [*PROVED, "CopyRecord", *TAKEN]
    assert f"call vault qborg.CopyRecord+{OLD}" in escrowed.app.trace
    ids = {name: vm.uuid for name, vm in escrowed.app.domains.all.items()}
    assert [gate for gate in escrowed.gates if "TakeRecord" in gate] == [
        f"qborg.TakeRecord +{OLD} uuid:{ids['vault']} uuid:{ids['office']} "
        "allow autostart=no notify=no\n"]
    found = _noted(escrowed, "office")
    assert (found.uuid, str(found.repository)) == (ids["office"], "qubes-office")
    assert found.step == "forget" and found.notes["continues"] == OLD
    assert "rotation" not in found.notes


def test_what_was_imported_stays_leaked(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _is_renamed(escrowed)
    escrowed.values["RegisterKey"] = {"leaked": "yes"}

    assert _goes_on(escrowed) == 0

    assert _noted(escrowed, "office").notes["secrets"] == record.IMPORTED
    assert "count as leaked until they are rotated" in capsys.readouterr().out


def test_a_second_time_it_is_known(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _is_renamed(escrowed)
    assert _goes_on(escrowed) == 0
    before = _noted(escrowed, "office")

    assert _goes_on(escrowed) == 0

    assert not {"CopyRecord", "ReadManifest"} & {*_calls(escrowed)}
    assert _noted(escrowed, "office") == before
    assert "nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("service", ["PrepareBundle", "RegisterKey", "OpenRepository"])
def test_what_was_cut_goes_on_by_the_note(escrowed: Honest, service: str) -> None:
    _is_renamed(escrowed)
    escrowed.answers[service] = failure("internal")
    assert _goes_on(escrowed) == errors.ServiceFailed.exit_code
    begun = _noted(escrowed, "office").notes["rotation"]
    del escrowed.answers[service]

    assert _goes_on(escrowed, "office", "--no-escrow") != 0, "only the vault has what opens it"
    assert enroll.main(["office"], app=escrowed.app) == 0

    assert begun.split()[2:] == ["key", "continue"]
    assert _noted(escrowed, "office").step == "forget"


def test_what_the_server_does_not_move_goes_on_under_its_own_name(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _is_renamed(escrowed)
    escrowed.answers["RegisterKey"] = failure("move-refused", "there is no command for it")
    assert _goes_on(escrowed) == errors.RepositoryError.exit_code
    told = capsys.readouterr().err
    assert "(there is no command for it)" in told and "old scripts" not in told
    del escrowed.answers["RegisterKey"]

    vm = escrowed.app.domains.all.pop("office")  # what the hint says
    assert "`qvm-features --unset QUBE x-qborg`" in told and vm.features.own.pop("x-qborg")
    vm.name = "work"
    escrowed.app.domains.all["work"] = vm

    _goes_on(escrowed, "work")  # this stand-in has the bundle and the record of before still
    mine = [name for name in _calls(escrowed) if name not in ("DescribeClient", "CheckSetup")]
    assert mine[:8] == [*PROVED, *TAKEN]
    assert _noted(escrowed, "work").notes["continues"] == OLD


@pytest.mark.parametrize(("name", "service", "cause"), [
    ("office", "ReadManifest", "wrong-passphrase"), ("work", "ReadManifest", "wrong-passphrase"),
    ("office", "ReadManifest", "keys-missing"), ("work", "LendRepository", "keys-missing"),
    ("work", "LendRepository", "internal"), ("office", "CopyRecord", "vault-full")])
def test_nothing_is_taken_over_before_the_vaults_record_has_opened_it(
    escrowed: Honest, capsys: pytest.CaptureFixture[str], name: str, service: str, cause: str
) -> None:
    if name == "office":
        _is_renamed(escrowed)
    else:
        del escrowed.app.domains.all["work"].features.own["x-qborg"]  # as a revocation does
        escrowed.keys[OLD], escrowed.renewed[OLD] = OTHER, NEW["record"]
        escrowed.rotates.add("work")
    escrowed.answers[service] = failure(cause)

    assert _goes_on(escrowed, name, "--continue", "work") != 0

    assert not {"PrepareBundle", "RegisterKey"} & {*_calls(escrowed)}
    assert ("`qvm-borg-recover --repair-key" in capsys.readouterr().err) == (
        cause in ("wrong-passphrase", "keys-missing"))
    assert "rotation" not in _noted(escrowed, name).notes
    del escrowed.answers[service]
    assert recover.main(["--repair-key", "work"], app=escrowed.app) == 0
    assert _goes_on(escrowed, name, "--continue", "work") == 0


def test_by_a_name_of_before_it_goes_on_whatever_record_the_vault_has_of_that(
    escrowed: Honest,
) -> None:
    _is_renamed(escrowed)
    escrowed.kept["qubes-office"] = "8" * 64  # of a repository that was deleted
    escrowed.renewed["qubes-office"] = NEW["record"]
    escrowed.values["CopyRecord"] = {"record": "8" * 64, "key": "9" * 64, "changed": "no"}

    assert _goes_on(escrowed) == 0


def test_one_without_an_archive_goes_on(escrowed: Honest) -> None:
    _is_renamed(escrowed)
    escrowed.answers["ReadManifest"] = failure("archive-missing")

    assert _goes_on(escrowed) == 0


@pytest.mark.parametrize("command", [
    (recover, "--repair-key", "office"), (restore, "office", "--to-disposable"),
], ids=["repair", "restore"])
def test_of_one_that_was_cut_the_vaults_record_is_taken_as_it_tells_of_it(
    escrowed: Honest, command: tuple[ModuleType, str, str]
) -> None:
    _is_renamed(escrowed)
    escrowed.answers["OpenRepository"] = failure("wrong-passphrase")
    assert _goes_on(escrowed) == errors.RepositoryError.exit_code
    escrowed.kept["qubes-office"] = "6" * 64  # that is what CopyRecord says

    assert command[0].main(command[1:], app=escrowed.app) == 0


def test_its_line_is_not_shown_before_the_vault_was_asked(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _is_renamed(escrowed)
    escrowed.answers["PrepareBundle"] = failure("internal")
    _goes_on(escrowed)
    capsys.readouterr()

    code = _goes_on(escrowed, "office", "--show-authorized-keys")

    assert code == errors.EscrowMissing.exit_code
    assert [line[:6] for line in capsys.readouterr().err.splitlines()] == ["error:", "hint: "]


def _has_no_record(machine: Honest) -> None:
    _is_renamed(machine)
    del machine.kept[OLD]
    machine.answers["ReleaseRecord"] = failure("record-missing")


def _has_its_own(machine: Honest) -> None:
    machine.qube("office")
    assert enroll.main(["office"], app=machine.app) == 0
    del machine.app.domains.all["work"]


def _goes_on_with_another(machine: Honest) -> None:
    machine.qube("office")
    del machine.app.domains.all["work"]
    machine.answers["PrepareBundle"] = failure("internal")
    machine.kept["qubes-mail"] = "9" * 64
    assert _goes_on(machine, "office", "--continue", "mail") == errors.ServiceFailed.exit_code


REFUSED: dict[str, tuple[Callable[[Honest], object], type[errors.QvmBorgError]]] = {
    "still-in-use": (lambda machine: machine.qube("office"), errors.EnrolmentRefused),
    "no-record": (_has_no_record, errors.EscrowMissing),
    "has-its-own": (_has_its_own, errors.EnrolmentRefused),
    "goes-on-with-another": (_goes_on_with_another, errors.EnrolmentRefused),
}


@pytest.mark.parametrize(("bends", "error"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_go_on_is_refused(
    escrowed: Honest, bends: Callable[[Honest], object], error: type[errors.QvmBorgError]
) -> None:
    bends(escrowed)

    assert _goes_on(escrowed) == error.exit_code

    assert not {"PrepareBundle", "RegisterKey", "CopyRecord"} & {*_calls(escrowed)}


@pytest.mark.parametrize("args", [
    ("--continue", "work", "--import", "/home/user/old"), ("--continue", "work", "--no-escrow"),
    ("personal", "--continue", "work"), ("--continue", "../work"),
    ("--continue", "work", "--keys", "maintenance"),
    ("--continue", "work", "--show-authorized-keys"),
], ids=" ".join)
def test_what_does_not_go_together_is_2(escrowed: Honest, args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        _goes_on(escrowed, "office", *args)

    assert caught.value.code == 2
    assert escrowed.app.trace == []
