"""The qube as its own keyholder: enrolled so, and rotated; dom0 compares what each side tells."""

from dataclasses import replace

import pytest

from qborg_wire.names import fingerprint
from qvm_borg import errors, record, revoke
from qvm_borg.tools import enroll, rotate
from unit.dom0.honest import FINGERPRINT, KEY, Honest
from unit.dom0.machine import failure
from unit.dom0.test_escrow import noted

OTHER = KEY.replace("AAAAI" + "A" * 43, "AAAAI" + "B" * 43)
NEW = {"record": "9" * 64, "key": "8" * 64}


def _enrols(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = enroll.main(["work", *args], app=machine.app)
    return code


def _rotates(machine: Honest, *args: str) -> int:
    machine.app.trace.clear()
    code: int = rotate.main(["work", *args], app=machine.app)
    return code


def turns(machine: Honest) -> None:
    """Have what the qube makes next be another key, under another passphrase."""
    machine.keys["qubes-work"] = OTHER
    machine.rotates.add("work")
    machine.exported["qubes-work"] = NEW["key"]
    machine.kept["qubes-work"] = NEW["record"]


def _calls(machine: Honest) -> list[str]:
    return [line.split("qborg.")[1].split("+")[0] for line in machine.app.trace
            if line.startswith("call ")]


def test_its_secrets_go_to_the_vault_and_nowhere_else(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    escrowed.qube("mail")
    escrowed.app.trace.clear()

    assert enroll.main(["mail", "--keys", "client"], app=escrowed.app) == 0

    calls = _calls(escrowed)
    assert not {"MakeKeys", "SendBundle", "InitRepository", "ForgetSecrets"} & {*calls}
    mine = [name for name in calls if name not in ("DescribeClient", "CheckSetup")]
    assert mine == [
        "PrepareBundle", "RegisterKey", "PublishKeys", "SendRecord", "DescribeRecord",
        "OpenRepository", "RegisterKey", "SubmitRecord", "DescribeRecord", "AdoptBundle",
        "StartSchedule", "RunBackup", "ProveBundle", "ReleaseRecord", "LendRepository",
        "ProveRecord",
        "RegisterKey"]
    sent = [line for line in escrowed.gates if "StoreRecord +qubes-mail" in line]
    ids = {name: vm.uuid for name, vm in escrowed.app.domains.all.items()}
    assert sent == [f"qborg.StoreRecord +qubes-mail uuid:{ids['mail']} uuid:{ids['vault']} "
                    "allow autostart=no notify=no\n"]
    found = record.parse(escrowed.app.domains.all["mail"].features.own["x-qborg"])
    assert found is not None and found.step == "forget"
    assert found.notes["keys"] == "made in the qube itself" and "rotation" not in found.notes
    assert "[ 3/11] create     mail: mail has its key" in capsys.readouterr().out


def test_again_it_is_known_and_nothing_is_changed(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _enrols(escrowed, "--keys", "client") == 0
    before = noted(escrowed)
    capsys.readouterr()

    assert _enrols(escrowed) == 0

    assert "nothing was changed" in capsys.readouterr().out
    assert noted(escrowed) == before and before.notes["keys"] == "made in the qube itself"
    assert "MakeKeys" not in _calls(escrowed)


@pytest.mark.parametrize("option", [("--no-escrow",), ("--import", "/home/user/k")])
def test_keys_of_the_client_need_the_vault_and_are_its_own(
    escrowing: Honest, option: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        _enrols(escrowing, "--keys", "client", *option)

    assert stopped.value.code == 2 and escrowing.app.trace == []


def test_an_enrolment_that_made_its_keys_elsewhere_ends_first(escrowed: Honest) -> None:
    vm = escrowed.app.domains.all["work"]
    vm.features.own["x-qborg"] = record.render(replace(noted(escrowed), step="publish"))

    assert _enrols(escrowed, "--keys", "client") == errors.EnrolmentRefused.exit_code

    assert _calls(escrowed) == []


@pytest.mark.parametrize(("options", "fresh"), [
    ((), ["key", "passphrase"]), (("--ssh-key",), ["key"]), (("--passphrase",), ["passphrase"]),
])
def test_a_rotation_makes_what_was_asked_for_and_ends_with_a_proof(
    escrowed: Honest, options: tuple[str, ...], fresh: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    turns(escrowed)
    asked: list[object] = []
    prepare = escrowed._PrepareBundle
    escrowed._PrepareBundle = (  # type: ignore[method-assign]
        lambda vm, argument: (asked.append(noted(escrowed).notes["rotation"]),
                              prepare(vm, argument))[1])

    assert _rotates(escrowed, *options) == 0

    assert str(asked[0]).split(" ")[2:] == fresh and len(str(asked[0]).split(" ")[0]) == 32
    now = noted(escrowed)
    assert now.fingerprint == fingerprint(OTHER) and not {"rotation", "next"} & now.notes.keys()
    assert (now.digests["record"], now.digests["key"]) == (NEW["record"], NEW["key"])
    assert now.step == "forget" and now.times["proved"] != "0"
    calls = _calls(escrowed)
    assert calls.index("ProveRecord") < calls.index("RegisterKey", calls.index("ProveRecord"))
    said = capsys.readouterr().out
    assert "print-kit" in said and ("encrypts nothing anew" in said) == ("passphrase" in fresh)
    assert calls[-3:] == ["PublishKeys", "SendRecord", "DescribeRecord"]
    assert "RunBackup" not in calls


@pytest.mark.parametrize("service", [
    "PrepareBundle", "RegisterKey", "PublishKeys", "OpenRepository", "SubmitRecord", "AdoptBundle",
    "ProveBundle", "ProveRecord",
])
def test_a_rotation_that_fails_is_noted_and_the_next_run_ends_it(
    escrowed: Honest, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    turns(escrowed)
    escrowed.answers[service] = failure("internal")
    assert _rotates(escrowed) == errors.ServiceFailed.exit_code
    begun = noted(escrowed).notes["rotation"]
    assert noted(escrowed).fingerprint == FINGERPRINT
    del escrowed.answers[service]

    assert _enrols(escrowed) == 0

    assert "rotation" not in noted(escrowed).notes and begun
    assert noted(escrowed).fingerprint == fingerprint(OTHER)
    assert not list(escrowed.policy.iterdir())


def test_an_unfinished_rotation_is_not_begun_anew(
    escrowed: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    turns(escrowed)
    escrowed.answers["SubmitRecord"] = failure("internal")
    _rotates(escrowed, "--ssh-key")
    begun = noted(escrowed).notes["rotation"]
    assert _rotates(escrowed) == errors.ServiceFailed.exit_code

    assert noted(escrowed).notes["rotation"] == begun
    assert "an unfinished rotation goes on" in capsys.readouterr().out


def test_imported_secrets_count_as_leaked_until_both_are_rotated(escrowed: Honest) -> None:
    vm = escrowed.app.domains.all["work"]
    leaked = replace(noted(escrowed), notes={**noted(escrowed).notes, "secrets": record.IMPORTED})
    vm.features.own["x-qborg"] = record.render(leaked)
    turns(escrowed)
    escrowed.values["RegisterKey"] = {"leaked": "yes"}

    assert _rotates(escrowed, "--ssh-key") == 0
    assert "secrets" in noted(escrowed).notes
    escrowed.rotates.add("work")
    escrowed.kept["qubes-work"] = "5" * 64
    assert _rotates(escrowed) == 0

    assert "secrets" not in noted(escrowed).notes


LIES = {
    "fingerprint-of-another": ("PrepareBundle", {"fingerprint": "SHA256:" + "x" * 43}),
    "another-is-registered": ("RegisterKey", {"fingerprint": "SHA256:" + "x" * 43}),
    "another-key-is-kept": ("DescribeRecord", {"key": "7" * 64}),
    "another-bundle-is-adopted": ("AdoptBundle", {"bundle": "7" * 64}),
    "another-key-opens-it": ("ProveRecord", {"record": "7" * 64}),
}


@pytest.mark.parametrize(("service", "values"), LIES.values(), ids=LIES)
def test_who_tells_something_else_is_not_believed(
    escrowed: Honest, service: str, values: dict[str, str]
) -> None:
    turns(escrowed)
    escrowed.values[service] = values

    assert _rotates(escrowed) == errors.WireError.exit_code

    assert noted(escrowed).fingerprint == FINGERPRINT and "rotation" in noted(escrowed).notes


def test_who_says_that_it_has_rotated_and_has_not_is_not_believed(escrowed: Honest) -> None:
    escrowed.keys["qubes-work"] = OTHER  # and a bundle that is installed, not pending

    assert _rotates(escrowed) == errors.WireError.exit_code

    assert noted(escrowed).fingerprint == FINGERPRINT and "rotation" in noted(escrowed).notes


def _is_cut(escrowed: Honest, *options: str) -> None:
    """Let a rotation be cut once its key is registered, and a revocation find that key."""
    former = escrowed.kept["qubes-work"]
    turns(escrowed)
    escrowed.kept["qubes-work"] = former  # what the vault has as yet
    if "--ssh-key" in options:  # under the same passphrase borg's key is the same
        del escrowed.exported["qubes-work"]
    escrowed.answers["RegisterKey"] = failure("internal")
    assert _rotates(escrowed, *options) != 0
    del escrowed.answers["RegisterKey"]
    escrowed.answers["OpenRepository"] = failure("internal")
    assert _rotates(escrowed) != 0
    escrowed.values["RevokeKeys"] = {
        "public_key": OTHER, "fingerprint": fingerprint(OTHER), "key": "refused"}


def test_what_may_have_a_new_passphrase_keeps_its_bundle(escrowed: Honest) -> None:
    """It may hold the one that is in force, and the vault the former one."""
    _is_cut(escrowed)

    with pytest.raises(errors.PartialFailure):
        revoke.revoke(escrowed.session(), "work", lambda _repository, _server: None)

    assert "RemoveBundle" not in _calls(escrowed)


def test_a_key_that_is_half_rotated_is_revoked_to_the_end(escrowed: Honest) -> None:
    """The passphrase stays, so the vault's record opens the repository."""
    _is_cut(escrowed, "--ssh-key")

    revoke.revoke(escrowed.session(), "work", lambda _repository, _server: None)

    assert "x-qborg" not in escrowed.app.domains.all["work"].features.own


@pytest.mark.parametrize(("args", "values", "kind"), [
    (("--no-escrow",), {}, errors.EnrolmentRefused),
    (("--keys", "client"), {"keys": "awaited"}, errors.EnrolmentRefused),
])
def test_what_could_not_be_tried_or_would_be_nowhere_else_is_refused(
    escrowed: Honest, args: tuple[str, ...], values: dict[str, str],
    kind: type[errors.QvmBorgError],
) -> None:
    assert _enrols(escrowed, "--keys", "client") == 0
    escrowed.values["CheckSetup"] = values

    assert _enrols(escrowed, *args) == kind.exit_code


def test_unfinished_keys_of_its_own_are_not_left_without_a_vault(escrowing: Honest) -> None:
    escrowing.answers["SubmitRecord"] = failure("internal")
    enroll.main(["work", "--keys", "client"], app=escrowing.app)
    vm = escrowing.app.domains.all["work"]
    before = vm.features.own["x-qborg"]

    assert _enrols(escrowing, "--no-escrow") == errors.EscrowMissing.exit_code

    assert vm.features.own["x-qborg"] == before


def test_another_key_without_a_rotation_is_a_lie(escrowed: Honest) -> None:
    assert _enrols(escrowed, "--keys", "client") == 0
    escrowed.keys["qubes-work"] = OTHER

    assert _enrols(escrowed) == errors.WireError.exit_code


UNREADY = {
    "not-enrolled": ("mail", errors.NotEnrolled),
    "not-escrowed": ("work", errors.EscrowMissing),
    "unfinished": ("work", errors.NotEnrolled),
}


@pytest.mark.parametrize("case", UNREADY)
def test_what_is_not_wholly_enrolled_is_not_rotated(escrowed: Honest, case: str) -> None:
    name, kind = UNREADY[case]
    escrowed.qube("mail")
    changed = {"not-escrowed": replace(noted(escrowed), notes={"escrow": record.NO_ESCROW}),
               "unfinished": replace(noted(escrowed), step="prove")}
    if case in changed:
        escrowed.app.domains.all["work"].features.own["x-qborg"] = record.render(changed[case])
    escrowed.app.trace.clear()

    assert rotate.main([name], app=escrowed.app) == kind.exit_code

    assert escrowed.app.trace == []
