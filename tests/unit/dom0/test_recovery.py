"""A new maintenance qube of the vault's record, on this computer or on another one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qvm_borg import errors, record, recovery, settings
from qvm_borg.tools import recover
from qvm_borg.tools.command_line import Parser
from unit.dom0.honest import HOST_KEY, SETTINGS, Honest, run
from unit.dom0.machine import answer, failure
from unit.dom0.test_escrow import noted

KEEPER, ACCOUNT = "borg-maintenance", "qubes-borg-maintenance"


def _run(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = recover.main(args, app=machine.app)
    return code


def _calls(machine: Honest) -> list[str]:
    return [line for line in machine.app.trace if line.startswith("call ")]


@pytest.fixture
def lost(escrowed: Honest) -> Honest:
    """Answer a machine whose maintenance qube is gone."""
    del escrowed.app.domains.all[KEEPER]
    return escrowed


@pytest.fixture
def anew(lost: Honest) -> Honest:
    """Answer a new machine with a qube that is to be the vault again."""
    settings.path().unlink()
    for name in ("maintenance", "vault"):
        del lost.app.domains.all["dom0"].features.own[f"x-qborg-{name}"]
    del lost.app.domains.all["vault"].features.own["service.qborg-vault"]
    return lost


ALL = [
    "start vault", "call vault qborg.DescribeAccount+", "set dom0 x-qborg-maintenance",
    "create borg-maintenance gray debian-13", "set borg-maintenance service.qborg-maintenance",
    "set dom0 x-qborg-maintenance", "start borg-maintenance",
    "call borg-maintenance qborg.ExpectAccount+", f"call vault qborg.ReleaseRecord+{ACCOUNT}",
    "call borg-maintenance qborg.ExpectAccount+", "call borg-maintenance qborg.CheckSetup+",
    f"call borg-maintenance qborg.SendRecord+{ACCOUNT}",
    f"call vault qborg.DescribeRecord+{ACCOUNT}", "shutdown borg-maintenance", "shutdown vault",
]


def test_a_new_qube_has_the_account_and_then_the_set_up_goes_on(
    lost: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    before = settings.path().stat()

    assert _run(lost, "--account") == 0

    assert lost.app.trace == ALL
    assert lost.gates[-2:] == [
        f"qborg.{name} +{ACCOUNT} uuid:{source.uuid} uuid:{target.uuid} "
        "allow autostart=no notify=no\n"
        for vault, keeper in [(lost.app.domains.all["vault"], lost.app.domains.all[KEEPER])]
        for name, source, target in (("AcceptAccount", vault, keeper),
                                     ("StoreRecord", keeper, vault))]
    assert settings.path().stat() == before
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("vault has the account zh1@backup.example of qubes, publication 2")
    assert said[-1] == "borg-maintenance has the account; now `qvm-borg-check --all`, or enrol"


def test_an_older_record_is_told_as_one(lost: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    lost.values["DescribeAccount"] = {"damaged": "yes"}

    assert _run(lost, "--account") == 0
    assert "by an older record: the newest is damaged" in capsys.readouterr().out


def test_once_more_nothing_is_sent_nor_changed(lost: Honest) -> None:
    assert _run(lost, "--account") == 0
    assert _run(lost, "--account") == 0

    assert not [line for line in lost.app.trace if line.startswith(("set ", "create "))]
    assert f"call vault qborg.ReleaseRecord+{ACCOUNT}" not in lost.app.trace


def test_the_vault_and_the_new_qube_are_told_what_dom0_knows(
    lost: Honest, tmp_path: Path
) -> None:
    for name, values in (("DescribeAccount", lost._DescribeAccount),
                         ("ExpectAccount", lambda *_args: {"account": "here"})):
        read, write = answer(**values(lost.app.domains.all["vault"], ""))
        lost.answers[name] = [read, ["keep", str(tmp_path / name)], write]

    assert _run(lost, "--account") == 0

    asked = {path.name: json.loads(path.read_bytes()) for path in tmp_path.iterdir()
             if path.is_file()}
    assert asked["DescribeAccount"]["machine"] == "qubes"
    told = asked["ExpectAccount"]
    assert told["host_key"] == HOST_KEY and told["vault"] == "vault"
    assert told["record"] == lost.kept[ACCOUNT]


def test_on_a_new_computer_the_vaults_values_are_stored_once_confirmed(anew: Honest) -> None:
    assert _run(anew, "--account", "--vault", "vault", "--fingerprint", HOST_KEY) == 0

    assert settings.load() == SETTINGS
    role = ["set vault service.qborg-vault", "set dom0 x-qborg-vault"]
    assert anew.app.trace == [*ALL[:2], *role, *ALL[2:]]


def test_the_person_is_asked_about_the_host_key(anew: Honest) -> None:
    asked: list[str] = []
    options = Parser("recover").parse_args(["--account", "--vault", "vault"])

    recovery.recover(anew.session(), options, lambda question: bool(asked.append(question)) or True)

    assert len(asked) == 1 and HOST_KEY in asked[0]
    assert settings.load() == SETTINGS


@pytest.mark.parametrize(("options", "error"), [
    (("--vault", "vault"), errors.HostKeyError),
    (("--vault", "vault", "--fingerprint", "SHA256:" + "x" * 43), errors.HostKeyError),
    ((), errors.EscrowMissing),
    (("--vault", "work"), errors.SettingsError),
])
def test_what_is_not_confirmed_leaves_a_new_computer_as_it_is(
    anew: Honest, options: tuple[str, ...], error: type[errors.QvmBorgError]
) -> None:
    assert _run(anew, "--account", *options) == error.exit_code

    assert settings.load() is None
    assert not [line for line in anew.app.trace if line.startswith(("set ", "create "))]
    assert anew.app.domains.all["vault"].state == "Halted"


def _says(**values: str) -> Callable[[Honest], object]:
    return lambda machine: machine.values.update(DescribeAccount=values)


def _sends_nothing(machine: Honest) -> None:
    machine.answers["ReleaseRecord"] = answer(record=machine.kept[ACCOUNT])


# How the machine is bent, and the error; no qube is made unless the vault agrees with dom0.
BENT: dict[str, tuple[Callable[[Honest], object], type[errors.QvmBorgError]]] = {
    "another-machine-id": (_says(machine_id="f" * 32), errors.SettingsError),
    "another-machine": (_says(machine="laptop"), errors.SettingsError),
    "another-host": (_says(host="evil.example"), errors.SettingsError),
    "another-account": (_says(account="evil"), errors.SettingsError),
    "another-host-key": (_says(host_key="SHA256:" + "x" * 43), errors.SettingsError),
    "a-path-for-a-qube": (_says(maintenance="../x"), errors.WireError),
    "another-qubes-name": (_says(maintenance="work"), errors.SettingsError),
    "no-account": (lambda machine: machine.answers.update(
        DescribeAccount=failure("account-missing")), errors.EscrowMissing),
    "several": (lambda machine: machine.answers.update(
        DescribeAccount=failure("accounts-several", "dom lap")), errors.SettingsError),
    "too-old": (lambda machine: machine.answers.update(DescribeAccount=[["exit", 127]]),
                errors.ServiceMissing),
    "vault-gone": (lambda machine: machine.app.domains.all.pop("vault"), errors.SettingsError),
}  # fmt: skip


@pytest.mark.parametrize(("bend", "error"), BENT.values(), ids=BENT)
def test_a_vault_that_has_another_account_makes_no_qube(
    lost: Honest, bend: Callable[[Honest], object], error: type[errors.QvmBorgError]
) -> None:
    bend(lost)
    before = settings.load()

    assert _run(lost, "--account") == error.exit_code

    assert not [line for line in lost.app.trace if line.startswith(("set ", "create "))]
    assert settings.load() == before


@pytest.mark.parametrize(("bend", "error"), [
    (lambda machine: machine.answers.update(ReleaseRecord=failure("account-held")),
     errors.SettingsError),
    (lambda machine: machine.answers.update(ReleaseRecord=failure("record-refused")),
     errors.ServiceFailed),
    (_sends_nothing, errors.WireError),
    (lambda machine: machine.answers.update(ExpectAccount=[["exit", 127]]),
     errors.ServiceMissing),
], ids=["held", "refused", "sends-nothing", "too-old"])
def test_without_the_account_the_set_up_does_not_go_on(
    lost: Honest, bend: Callable[[Honest], object], error: type[errors.QvmBorgError]
) -> None:
    bend(lost)

    assert _run(lost, "--account") == error.exit_code

    assert not [line for line in _calls(lost) if "CheckSetup" in line], "it would make a new key"
    states = {lost.app.domains.all[name].state for name in (KEEPER, "vault")}
    assert states == {"Halted"}


def test_a_maintenance_qube_of_its_name_is_not_taken(
    lost: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    lost.qube(KEEPER)

    assert _run(lost, "--account") == errors.SettingsError.exit_code

    told = capsys.readouterr().err
    assert "was not made by qubes-borg" in told and "a maintenance qube out of a backup" in told


def test_other_commands_name_the_way_back(
    lost: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(errors.SettingsError, match="gone") as caught:
        run(lost)

    assert caught.value.hint.startswith("`qvm-borg-recover --account`")


@pytest.mark.parametrize("args", [
    ("--account", "work"), ("--account", "--all"), ("--accept-record", "work", "personal"),
    ("--accept-record", "work", "--all"), ("--accept-record",), ("--account", "--print-kit"),
    ("--account", "--label", "pink"), ("--account", "--fingerprint", "x"),
])
def test_a_command_line_that_says_two_things_is_refused(
    escrowed: Honest, args: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        _run(escrowed, *args)

    assert escrowed.app.trace == []


def _typed(machine: Honest) -> None:
    """Have another record of work in the vault, as it comes of a typed kit."""
    machine.kept["qubes-work"] = "e" * 64


def test_another_record_is_accepted_once_it_is_proved(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _typed(escrowed)
    before = noted(escrowed)

    assert _run(escrowed, "--accept-record", "work") == 0

    assert _calls(escrowed)[0] == "call vault qborg.DescribeRecord+qubes-work"
    after = noted(escrowed)
    assert after.digests == {**before.digests, "record": "e" * 64}
    assert after.notes == before.notes and after.step == before.step
    assert "work: the record in vault opens qubes-work" in capsys.readouterr().out


# What is bent once the vault has another record, and the error.
NOT_PROVED: dict[str, tuple[Callable[[Honest], object], type[errors.QvmBorgError]]] = {
    "another-key": (lambda machine: machine.values.update(DescribeRecord={"key": "3" * 64}),
                    errors.EscrowMissing),
    "no-record": (lambda machine: machine.kept.pop("qubes-work"), errors.EscrowMissing),
    "sends-another": (lambda machine: machine.values.update(ProveRecord={"record": "d" * 64}),
                      errors.WireError),
    "another-file": (lambda machine: machine.values.update(ProveRecord={"proof": "d" * 64}),
                     errors.ProofFailed),
    "does-not-open": (lambda machine: machine.answers.update(
        ProveRecord=failure("wrong-passphrase")), errors.RepositoryError),
}  # fmt: skip


@pytest.mark.parametrize(("bend", "error"), NOT_PROVED.values(), ids=NOT_PROVED)
def test_a_record_that_is_not_proved_is_not_accepted(
    escrowed: Honest, bend: Callable[[Honest], object], error: type[errors.QvmBorgError]
) -> None:
    _typed(escrowed)
    bend(escrowed)
    before = noted(escrowed)

    assert _run(escrowed, "--accept-record", "work") == error.exit_code

    assert noted(escrowed) == before


@pytest.mark.parametrize("name", ["nobody", "plain"])
def test_only_an_enrolled_qubes_record_is_accepted(escrowed: Honest, name: str) -> None:
    escrowed.qube("plain")

    assert _run(escrowed, "--accept-record", name) in (
        errors.QubeUnavailable.exit_code, errors.NotEnrolled.exit_code)
    assert not _calls(escrowed)


def test_what_was_never_escrowed_has_no_record_to_accept(escrowed: Honest) -> None:
    bent = replace(noted(escrowed), notes={"escrow": record.NO_ESCROW})
    escrowed.app.domains.all["work"].features.own["x-qborg"] = record.render(bent)

    assert _run(escrowed, "--accept-record", "work") == errors.EscrowMissing.exit_code
