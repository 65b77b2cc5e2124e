"""The worker in dom0: made for one job, cut off before it starts, and gone whatever happens."""

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, gate, manifest, vault, worker
from qvm_borg.tools import restore
from unit.dom0.honest import Honest, run
from unit.dom0.machine import Actions, Vm, failure
from unit.dom0.test_escrow import noted

NAME = "borg-worker"


def _made(machine: Honest) -> list[Vm]:
    """Answer the list that each qube is put into when it is made."""
    made, add = [], machine.app.add

    def added(*args: str) -> Vm:
        made.append(add(*args))
        return made[-1]

    machine.app.add = added  # type: ignore[method-assign]
    return made


def _is_gone(machine: Honest) -> bool:
    return NAME not in machine.app.domains.all and (
        "x-qborg-worker" not in machine.app.domains.all["dom0"].features.own)


def test_a_worker_has_no_network_when_it_starts_and_is_gone_afterwards(escrowing: Honest) -> None:
    vms = _made(escrowing)

    trace = run(escrowing, escrow=True)

    lines = [line for line in trace if "worker" in line or NAME in line]
    assert lines == [
        "set dom0 x-qborg-worker", f"create {NAME} gray default-dvm",
        f"set {NAME} service.qborg-worker", f"start {NAME}",
        f"call {NAME} qborg.ProveRecord+qubes-work", f"kill {NAME}", f"remove {NAME}",
        "unset dom0 x-qborg-worker"]
    assert [(vm.klass, vm.netvm) for vm in vms] == [("DispVM", None)]
    assert _is_gone(escrowing)
    assert noted(escrowing).notes["proved"] == "in a worker, with the vault's record alone"


def test_its_two_gates_let_one_record_in_and_one_repository(escrowing: Honest) -> None:
    seen = _made(escrowing)

    run(escrowing, escrow=True)

    ids = {name: vm.uuid for name, vm in escrowing.app.domains.all.items()}
    worker = seen[0].uuid
    assert escrowing.gates[-2:] == [
        f"qborg.AcceptRecord +qubes-work uuid:{ids['vault']} uuid:{worker} "
        "allow autostart=no notify=no\n",
        f"qborg.ServeRepository +qubes-work uuid:{worker} uuid:{ids['borg-maintenance']} "
        "allow autostart=no notify=no\n"]
    assert not list(escrowing.policy.iterdir())


# Which service says what, and what dom0 makes of it.
FAILURES: dict[str, tuple[str, Actions, type[errors.QvmBorgError]]] = {
    "vault-has-none": ("ReleaseRecord", failure("record-missing"), errors.EscrowMissing),
    "vault-cannot": ("ReleaseRecord", failure("record-refused"), errors.ServiceFailed),
    "not-lent": ("LendRepository", failure("keys-missing"), errors.NotFound),
    "does-not-open": ("ProveRecord", failure("wrong-passphrase"), errors.RepositoryError),
    "another-key": ("ProveRecord", failure("keys-differ"), errors.ProofFailed),
    "another-repository": ("ProveRecord", failure("keys-missing"), errors.NotFound),
    "dies": ("ProveRecord", [["read"], ["exit", 255]], errors.QubeUnavailable),
    "no-package": ("ProveRecord", [["exit", 127]], errors.ServiceMissing),
}


@pytest.mark.parametrize(("service", "says", "error"), FAILURES.values(), ids=FAILURES)
def test_whatever_fails_the_worker_is_gone_and_nothing_is_forgotten(
    escrowing: Honest, service: str, says: Actions, error: type[errors.QvmBorgError]
) -> None:
    escrowing.answers[service] = says

    with pytest.raises(error):
        run(escrowing, escrow=True)

    assert _is_gone(escrowing) and not list(escrowing.policy.iterdir())
    assert not escrowing.forgotten and noted(escrowing).times["proved"] == "0"
    del escrowing.answers[service]
    run(escrowing, escrow=True)
    assert noted(escrowing).step == "forget"


# Of whom a cause out of a worker is told, and a word of what to do.
WHOSE = {
    "wrong-passphrase": ("work: ", "--repair-key"), "keys-missing": ("work: ", "--repair-key"),
    "archive-missing": ("work: ", "`qvm-borg-restore work --list`"),
    "server-unreachable": ("borg-maintenance: ", "`qvm-borg-setup --firewall borg-maintenance`"),
    "borg-missing": (f"{NAME}: ", "borgbackup"),
}


@pytest.mark.parametrize(("cause", "told"), WHOSE.items(), ids=WHOSE)
def test_what_fails_in_it_is_told_of_whose_it_is(
    escrowing: Honest, cause: str, told: tuple[str, str]
) -> None:
    escrowing.answers["ProveRecord"] = failure(cause)

    with pytest.raises(errors.QvmBorgError) as caught:
        run(escrowing, escrow=True)

    assert caught.value.message.startswith(told[0]) and told[1] in caught.value.hint


@pytest.mark.parametrize(("values", "error"), [
    ({"record": "e" * 64}, errors.WireError), ({"proof": "e" * 64}, errors.ProofFailed),
    ({"manifest": "e" * 64}, errors.ProofFailed), ({"manifest": "none"}, errors.ProofFailed),
])
def test_another_record_or_another_file_proves_nothing(
    escrowing: Honest, values: dict[str, str], error: type[errors.QvmBorgError]
) -> None:
    escrowing.values["ProveRecord"] = values

    with pytest.raises(error):
        run(escrowing, escrow=True)

    assert not escrowing.forgotten


def test_what_a_killed_run_left_is_destroyed_first(escrowing: Honest) -> None:
    left = escrowing.qube(NAME)
    escrowing.app.domains.all["dom0"].features.own["x-qborg-worker"] = f"creating:{NAME}"

    trace = run(escrowing, escrow=True)

    assert trace.index(f"remove {NAME}") < trace.index(f"create {NAME} gray default-dvm")
    assert left.state == "Halted" and _is_gone(escrowing)


def test_with_an_open_gate_the_next_command_destroys_it(
    escrowed: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "DIRECTORY", escrowed.policy)
    (escrowed.policy / gate.NAME).write_text("left", encoding="ascii")
    escrowed.qube(NAME)
    escrowed.app.domains.all["dom0"].features.own["x-qborg-worker"] = f"creating:{NAME}"

    assert restore.main(["work", "--list"], app=escrowed.app) == 0

    assert escrowed.app.trace[:2] == [f"kill {NAME}", f"remove {NAME}"]
    assert _is_gone(escrowed) and not list(escrowed.policy.iterdir())


def test_a_persons_qube_of_that_name_is_never_touched(escrowing: Honest) -> None:
    escrowing.qube(NAME)

    with pytest.raises(errors.SettingsError, match="was not made by qubes-borg"):
        run(escrowing, escrow=True)

    assert escrowing.app.domains.all[NAME].state == "Running"


@pytest.mark.parametrize("service", [None, "qborg.AcceptRecord"])
def test_without_what_a_worker_is_made_of_nothing_is_changed(
    escrowing: Honest, service: str | None
) -> None:
    if service is None:
        escrowing.app.default_dispvm = None
    else:
        features = escrowing.app.domains.all["default-dvm"].features
        del features.of_template[f"supported-rpc.{service}"]

    with pytest.raises((errors.SettingsError, errors.TemplateError), match="disposable template"):
        run(escrowing, escrow=True)

    assert escrowing.app.trace == []


def _reads(machine: Honest, **digests: str) -> dict[str, str]:
    """Read the manifest in work's last archive back, knowing these digests."""
    session, known = machine.session(), {"record": machine.kept["qubes-work"], **digests}
    maintenance, keeper = session.maintenance, vault.required(session.system)
    with session.running(maintenance, keeper):
        return session.wait(worker.reading_manifest(
            session, keeper, Repository("qubes", "work"), "latest", known))


@pytest.mark.parametrize("text", ["class AppVM\nlabel red\nfeature x-a=\"b\" \\", None])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "dom0-is-new"])
def test_a_manifest_is_read_back(escrowed: Honest, text: str | None, is_known: bool) -> None:
    escrowed.manifest, found = text, text or manifest.NONE

    read = _reads(escrowed, **({"manifest": manifest.digest(found)} if is_known else {}))

    assert (read["manifest"], read["archive"]) == (found, "work-2026-01-31T10:17:00")
    assert _is_gone(escrowed)


@pytest.mark.parametrize(("values", "error"), [
    ({"manifest": "none"}, errors.ProofFailed), ({"manifest": '"label red"'}, errors.ProofFailed),
    ({"manifest": "label red"}, errors.WireError), ({"manifest": '"a\\u0000"'}, errors.WireError),
    ({"record": "e" * 64}, errors.WireError),
], ids=["none", "another", "no-text", "nul", "another-record"])
def test_another_manifest_than_dom0_knows_is_not_answered(
    escrowed: Honest, values: dict[str, str], error: type[errors.QvmBorgError]
) -> None:
    escrowed.values["ReadManifest"] = values

    with pytest.raises(error):
        _reads(escrowed, manifest=noted(escrowed).digests["manifest"])

    assert _is_gone(escrowed)
