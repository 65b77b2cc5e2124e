"""Several qubes are enrolled side by side: published once, and none in another one's way."""

import pytest

from qvm_borg import errors, record, vault
from qvm_borg.enroll import enroll
from qvm_borg.enrolment import Asked
from unit.dom0.honest import Honest
from unit.dom0.machine import Actions, Vm, failure

NAMES = ("mail", "personal", "work")
INIT = "call borg-maintenance qborg.InitRepository+qubes-{}"
SEND = "call borg-maintenance qborg.SendBundle+qubes-{}"


def _enrols(machine: Honest, jobs: int = 3, escrow: bool = False) -> list[str]:
    """Enrol all three; answers what was done, in order."""
    for name in NAMES:
        if name not in machine.app.domains.all:
            machine.qube(name)
    session = machine.session()
    machine.app.trace.clear()
    enroll(session, NAMES, False, Asked(jobs=jobs),
           vault.required(session.system) if escrow else None)
    return machine.app.trace


def _steps(machine: Honest) -> list[str]:
    found = (record.parse(machine.app.domains.all[name].features.own.get("x-qborg"))
             for name in NAMES)
    return [each.step if each else "" for each in found]


@pytest.mark.parametrize(("jobs", "beside"), [(3, "work"), (2, "personal"), (1, "mail")])
def test_so_many_go_their_way_at_once(ready: Honest, jobs: int, beside: str) -> None:
    trace = _enrols(ready, jobs)

    before = trace[:trace.index(SEND.format("mail"))]
    assert [name for name in NAMES if INIT.format(name) in before][-1] == beside
    assert trace.count("call borg-maintenance qborg.PublishKeys+") == 1
    assert _steps(ready) == ["prove"] * 3 and not list(ready.policy.iterdir())


def test_one_worker_is_there_at_a_time(escrowing: Honest) -> None:
    trace = _enrols(escrowing, escrow=True)

    moved = [line.split(" ")[0] for line in trace
             if line.startswith(("create borg-worker ", "remove borg-worker"))]
    assert moved == ["create", "remove"] * 3
    assert _steps(escrowing) == ["forget"] * 3


def test_what_fails_for_one_does_not_stop_the_others(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = ready.app.handler

    def handle(vm: Vm, service: str, argument: str) -> Actions:
        if (service, argument) == ("InitRepository", "qubes-mail"):
            return failure("quota-exceeded")
        return honest(vm, service, argument)

    ready.app.handler = handle

    with pytest.raises(errors.PartialFailure, match="1 of 3 qubes were not enrolled: mail"):
        _enrols(ready)

    assert _steps(ready) == ["publish", "prove", "prove"]
    told = capsys.readouterr()
    assert "personal: enrolled as" in told.out and "mail: enrolled as" not in told.out
    assert "error: mail" in told.err


def test_an_error_says_whose_it_is(ready: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    honest = ready.app.handler
    ready.app.handler = lambda vm, service, argument: (
        [["read"], ["exit", 255]] if (service, argument) == ("MakeKeys", "qubes-mail")
        else honest(vm, service, argument))

    with pytest.raises(errors.PartialFailure):
        _enrols(ready)

    assert "error: mail: borg-maintenance: " in capsys.readouterr().err


def test_no_more_are_started_at_once_than_fit_the_memory(ready: Honest) -> None:
    for name in NAMES:
        ready.qube(name, "Halted").memory = 3000

    trace = _enrols(ready)

    moved = [line for line in trace if line in {
        f"{how} {name}" for how in ("start", "shutdown") for name in NAMES}]
    assert moved == [f"{how} {name}" for name in NAMES for how in ("start", "shutdown")] * 2


def test_one_that_runs_waits_for_no_memory(ready: Honest) -> None:
    ready.qube("mail", "Halted").memory = 9000
    for name in NAMES[1:]:
        ready.qube(name, "Running")

    trace = _enrols(ready)

    assert trace.index("call work qborg.DescribeClient+") < trace.index("shutdown mail")


def test_a_net_qube_of_a_killed_run_is_halted_once_ours_needs_it_no_more(ready: Honest) -> None:
    net = ready.qube("sys-vpn", "Halted")
    net.provides_network, net.netvm = True, None
    net.start()
    net.features.own["x-qborg-started"] = f"{net.uuid} {net.start_time}"
    ready.app.domains.all["borg-maintenance"].netvm = "sys-vpn"

    _enrols(ready)

    assert net.state == "Halted"


def test_one_that_a_killed_enrolment_left_on_is_put_back_by_that_of_others(ready: Honest) -> None:
    left = ready.qube("left", "Halted")
    session = ready.session()
    enroll(session, ["left"], False)
    left.start()
    left.features.own["x-qborg-started"] = f"{left.uuid} {left.start_time}"
    del left.features.own["service.qborg-client"]  # as before its bundle was delivered

    _enrols(ready)

    assert left.state == "Halted"


def test_a_net_qube_that_is_enrolled_beside_its_client_is_halted_after_it(ready: Honest) -> None:
    net = ready.qube("mail", "Halted")
    net.provides_network = True
    for name in NAMES[1:]:
        ready.qube(name, "Halted").netvm = "mail"

    _enrols(ready)

    assert _steps(ready) == ["prove"] * 3
    assert {ready.app.domains.all[name].state for name in NAMES} == {"Halted"}


def test_ctrl_c_ends_all_of_them_and_puts_them_back(ready: Honest) -> None:
    honest = ready.app.handler

    def handle(vm: Vm, service: str, argument: str) -> Actions:
        if service == "RunBackup":
            raise KeyboardInterrupt
        return [["read"], ["sleep", 600]] if (service, argument) == (
            "SendBundle", "qubes-work") else honest(vm, service, argument)

    ready.app.handler = handle
    for name in NAMES:
        ready.qube(name, "Halted")

    with pytest.raises(KeyboardInterrupt):
        _enrols(ready)

    assert {ready.app.domains.all[name].state for name in (*NAMES, "borg-maintenance")} == {
        "Halted"}
    assert not list(ready.policy.iterdir())


def test_ctrl_c_stays_that_if_something_cannot_be_put_back(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    honest, answers = ready.app.handler, [OSError("no answer")]

    def handle(vm: Vm, service: str, argument: str) -> Actions:
        if service == "RunBackup":
            vm.get_power_state = lambda: lost(vm)  # type: ignore[method-assign]
            raise KeyboardInterrupt
        return honest(vm, service, argument)

    def lost(vm: Vm) -> str:
        if answers:
            raise answers.pop()
        return vm.state

    ready.app.handler = handle
    for name in NAMES:
        ready.qube(name, "Halted")

    with pytest.raises(KeyboardInterrupt):
        _enrols(ready, jobs=2)

    assert ready.app.trace.count("start work") == 1  # for the look at it; no third one is begun
    assert "error: qubesd: power state of mail" in capsys.readouterr().err
    assert not list(ready.policy.iterdir())
