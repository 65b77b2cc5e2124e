"""The vault in dom0: which qube can be it, what is compared, what happens when it is not there."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from qvm_borg import errors, record, settings
from unit.dom0 import setting_up
from unit.dom0.honest import Honest, run
from unit.dom0.machine import Vm, failure



def noted(machine: Honest) -> record.Record:
    """Answer dom0's record of work."""
    found = record.parse(machine.app.domains.all["work"].features.own["x-qborg"])
    assert found is not None
    return found


def test_an_enrolment_with_a_vault_ends_when_the_keyholder_has_forgotten(
    escrowing: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = run(escrowing, escrow=True)

    calls = [line.split("qborg.")[1] for line in trace if line.startswith("call ")]
    assert calls == [
        "CheckSetup+", "DescribeClient+", "MakeKeys+qubes-work", "PublishKeys+",
        "SendRecord+qubes-borg-maintenance", "DescribeRecord+qubes-borg-maintenance",
        "InitRepository+qubes-work", "SendRecord+qubes-work", "DescribeRecord+qubes-work",
        "SendBundle+qubes-work", "DescribeClient+", "StartSchedule+ as root",
        "RunBackup+qubes-work", "ProveBundle+qubes-work", "ReleaseRecord+qubes-work",
        "LendRepository+qubes-work", "ProveRecord+qubes-work", "ForgetSecrets+qubes-work"]
    assert trace[:2] == ["start borg-maintenance", "start vault"]
    assert trace[-2:] == ["shutdown vault", "shutdown borg-maintenance"]
    assert noted(escrowing).step == "forget"
    assert noted(escrowing).notes["escrow"] == "in the vault"
    assert noted(escrowing).digests["record"] == escrowing.kept["qubes-work"]
    assert "[11/11] forget     work: borg-maintenance has forgotten" in capsys.readouterr().out


def test_each_gate_lets_one_record_pass_and_is_closed_again(escrowing: Honest) -> None:
    run(escrowing, escrow=True)

    ids = {name: vm.uuid for name, vm in escrowing.app.domains.all.items()}
    lines = [f"qborg.StoreRecord +qubes-{name} uuid:{ids['borg-maintenance']} "
             f"uuid:{ids['vault']} allow autostart=no notify=no\n"
             for name in ("borg-maintenance", "work")]
    assert escrowing.gates[:2] == lines
    assert not list(escrowing.policy.iterdir())


def test_again_nothing_is_changed_and_the_forgotten_secrets_are_not_asked_for(
    escrowing: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    run(escrowing, escrow=True)

    trace = run(escrowing, escrow=True)

    assert not [line for line in trace if line.startswith("set ")]
    assert not [line for line in trace if "InitRepository" in line or "ForgetSecrets" in line
                or "SendRecord+qubes-work" in line]
    assert "nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("service", ["SendRecord", "DescribeRecord", "ForgetSecrets"])
def test_a_failed_step_is_made_good_by_the_next_run(escrowing: Honest, service: str) -> None:
    escrowing.answers[service] = failure("internal")
    with pytest.raises(errors.ServiceFailed):
        run(escrowing, escrow=True)
    assert not list(escrowing.policy.iterdir())
    del escrowing.answers[service]

    run(escrowing, escrow=True)

    assert noted(escrowing).step == "forget"


@pytest.mark.parametrize("values", [{"record": "e" * 64}, {"record": "none", "key": "none"},
                                    {"key": "e" * 64}])
def test_a_vault_that_has_something_else_stops_the_enrolment_before_delivery(
    escrowing: Honest, values: dict[str, str]
) -> None:
    escrowing.values["DescribeRecord"] = values

    with pytest.raises(errors.WireError):
        run(escrowing, escrow=True)

    assert not escrowing.bundle and not escrowing.forgotten


@pytest.mark.parametrize("lost", [
    lambda machine: machine.kept.pop("qubes-work"),
    lambda machine: machine.kept.update({"qubes-work": "e" * 64}),
], ids=["lost", "another"])
def test_a_record_that_is_gone_after_forgetting_is_told(
    escrowing: Honest, lost: Callable[[Honest], object]
) -> None:
    run(escrowing, escrow=True)
    lost(escrowing)

    with pytest.raises(errors.EscrowMissing, match="does not have the record of work"):
        run(escrowing, escrow=True)


def test_another_record_than_was_proved_is_proved_again(escrowing: Honest) -> None:
    run(escrowing, escrow=True)
    escrowing.forgotten.clear()
    escrowing.kept["qubes-work"] = "e" * 64

    trace = run(escrowing, escrow=True)

    assert [line for line in trace if "ProveBundle" in line]
    assert noted(escrowing).digests["record"] == "e" * 64


def test_dom0s_record_can_be_lost_after_forgetting(escrowing: Honest) -> None:
    run(escrowing, escrow=True)
    before = noted(escrowing)
    del escrowing.app.domains.all["work"].features.own["x-qborg"]
    escrowing.bundle["qubes-work"] = "none"  # as dom0 knows of none

    with pytest.raises(errors.EnrolmentRefused, match="its bundle is gone"):
        run(escrowing, escrow=True)

    assert noted(escrowing).digests["record"] == before.digests["record"]


def _borg_is_renamed() -> None:
    known = settings.load()
    assert known is not None
    settings.store(replace(known, remote_borg="borg12"))


def test_a_renamed_borg_reaches_a_bundle_that_nobody_can_make_anew(escrowing: Honest) -> None:
    run(escrowing, escrow=True)
    _borg_is_renamed()

    trace = run(escrowing, escrow=True)

    calls = [line.split("qborg.")[1] for line in trace if line.startswith("call work ")]
    assert calls == ["DescribeClient+", "RenameBorg+qubes-work", "DescribeClient+",
                     "ProveBundle+qubes-work"]
    assert noted(escrowing).digests["bundle"] == "c" * 64
    assert noted(escrowing).times["proved"] != "0"
    assert not [line for line in run(escrowing, escrow=True) if "RenameBorg" in line]


def test_a_run_that_was_killed_after_the_renaming_goes_on(escrowing: Honest) -> None:
    run(escrowing, escrow=True)
    _borg_is_renamed()
    escrowing.answers["ProveBundle"] = failure("connection-failed")
    with pytest.raises(errors.ServerUnreachable):
        run(escrowing, escrow=True)
    features = escrowing.app.domains.all["work"].features.own
    features["x-qborg"] = features["x-qborg"].replace("c" * 64, "b" * 64)
    del escrowing.answers["ProveBundle"]

    run(escrowing, escrow=True)

    assert noted(escrowing).digests["bundle"] == "c" * 64


def test_another_server_cannot_be_followed_without_the_secrets(escrowing: Honest) -> None:
    run(escrowing, escrow=True)
    known = settings.load()
    assert known is not None
    settings.store(replace(known, host="elsewhere.example"))

    with pytest.raises(errors.EnrolmentRefused, match="leads to another server"):
        run(escrowing, escrow=True)


def test_an_escrowed_qube_is_not_enrolled_without_escrow(escrowing: Honest) -> None:
    run(escrowing, escrow=True)

    with pytest.raises(errors.EnrolmentRefused, match="has its record in the vault already"):
        run(escrowing)


def test_the_choice_against_escrow_can_be_taken_back(escrowing: Honest) -> None:
    run(escrowing)
    assert noted(escrowing).notes["escrow"] == "none, by choice" and "qubes-work" not in (
        escrowing.kept)

    run(escrowing, escrow=True)

    assert noted(escrowing).notes["escrow"] == "in the vault"
    assert escrowing.forgotten == {"qubes-work"}


def test_without_escrow_the_accounts_record_is_still_renewed(escrowing: Honest) -> None:
    run(escrowing)

    assert set(escrowing.kept) == {"qubes-borg-maintenance"}
    assert not escrowing.forgotten


def test_a_set_up_has_the_accounts_record_in_the_vault(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen(machine)

    trace = setting_up.run(machine, *setting_up.CONFIRMED, "--vault", "vault")

    assert "set vault service.qborg-vault" in trace and "set dom0 x-qborg-vault" in trace
    assert set(machine.kept) == {"qubes-borg-maintenance"}
    assert "[5/5] vault      vault has the account's record" in capsys.readouterr().out
    assert setting_up.run(machine) and "nothing was changed" in capsys.readouterr().out


def test_a_set_up_says_how_to_name_a_vault(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    setting_up.run(machine, *setting_up.CONFIRMED)

    assert "none: `qvm-borg-setup --vault NAME`" in capsys.readouterr().out


def chosen(machine: Honest) -> Vm:
    """Make a qube that may become the vault."""
    vm = machine.qube("vault", "Halted")
    vm.netvm = None
    return vm


UNFIT: dict[str, tuple[Callable[[Vm], object], type[errors.QvmBorgError]]] = {
    "network": (lambda vm: setattr(vm, "netvm", "sys-firewall"), errors.SettingsError),
    "template": (lambda vm: setattr(vm, "klass", "TemplateVM"), errors.SettingsError),
    "disposable": (lambda vm: setattr(vm, "klass", "DispVM"), errors.SettingsError),
    "disposable-template": (lambda vm: setattr(vm, "template_for_dispvms", True),
                            errors.SettingsError),
    "no-package": (lambda vm: vm.features.of_template.clear(), errors.TemplateError),
}


@pytest.mark.parametrize(("spoil", "kind"), UNFIT.values(), ids=UNFIT)
def test_a_qube_that_cannot_be_the_vault_is_refused(
    machine: Honest, spoil: Callable[[Vm], object], kind: type[errors.QvmBorgError]
) -> None:
    spoil(chosen(machine))

    with pytest.raises(kind):
        setting_up.run(machine, *setting_up.CONFIRMED, "--vault", "vault")

    assert not machine.kept and "borg-maintenance" not in machine.app.domains.all
    assert "x-qborg-vault" not in machine.app.domains.all["dom0"].features.own


def test_the_maintenance_qube_is_no_vault(ready: Honest) -> None:
    with pytest.raises(errors.SettingsError, match="cannot be the vault"):
        setting_up.run(ready, "--vault", "borg-maintenance")


def test_another_vault_than_the_one_that_has_the_records_is_refused(escrowing: Honest) -> None:
    other = escrowing.qube("other", "Halted")
    other.netvm = None

    with pytest.raises(errors.SettingsError, match="the vault is vault, not other"):
        setting_up.run(escrowing, "--vault", "other")


def test_a_vault_that_got_a_network_is_not_used(escrowing: Honest) -> None:
    escrowing.app.domains.all["vault"].netvm = "sys-firewall"

    with pytest.raises(errors.SettingsError, match="vault has a netvm"):
        run(escrowing, escrow=True)

    assert "x-qborg" not in escrowing.app.domains.all["work"].features.own


def test_the_record_still_fits_into_its_feature(escrowing: Honest) -> None:
    run(escrowing, escrow=True)

    text = escrowing.app.domains.all["work"].features.own["x-qborg"]
    assert set(json.loads(text)["digests"]) == {
        "bundle", "key", "manifest", "proof", "record", "repository"}
