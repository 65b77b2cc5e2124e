"""qvm-borg-backup over several qubes: who is started beside whom, and who is put back."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from unit.dom0.backing_up import NAMES, Change, moves, note, run, vm
from unit.dom0.honest import Honest
from unit.dom0.machine import Actions, Vm, failure


def _both_ways(first: str, second: str) -> list[str]:
    return [f"start {first}", f"call {first}", f"start {second}", f"call {second}"]


BOUNDS: dict[str, tuple[tuple[str, ...], int, bool]] = {
    "two-at-once": ((), 400, True),
    "one-by-one": (("--jobs", "1"), 400, False),
    "both-fit": (("--memory", "6000"), 3000, True),
    "one-fits": (("--memory", "5999"), 3000, False),
    "none-fits-so-each-goes-alone": (("--memory", "2999"), 3000, False),
}


@pytest.mark.parametrize(("options", "memory", "beside"), BOUNDS.values(), ids=BOUNDS)
def test_they_go_side_by_side_within_the_bounds(
    three: Honest, options: tuple[str, ...], memory: int, beside: bool
) -> None:
    for name in NAMES:
        vm(three, name).memory = memory

    assert run(three, "home", "mail", *options) == 0

    moved = moves(three)
    assert (moved[:4] == _both_ways("home", "mail")) == beside
    assert beside or moved == ["start home", "call home", "shutdown home",
                               "start mail", "call mail", "shutdown mail"]
    assert {vm(three, name).state for name in NAMES} == {"Halted"}


def test_a_running_qube_takes_nothing_of_the_bound_and_stays_on(three: Honest) -> None:
    for name in ("home", "mail"):
        vm(three, name).state, vm(three, name).memory = "Running", 9000

    assert run(three, "home", "mail") == 0

    assert moves(three) == ["call home", "call mail"]
    assert not [line for line in three.app.trace if "DescribeUse" in line]


# What somebody does with a qube that was started for it, whether it is halted then, what is said.
USES: dict[str, tuple[Change, bool, str]] = {
    "nobody": (lambda _machine, _qube: None, True, ""),
    "a-program": (lambda machine, qube: machine.users.update({qube.name: "xterm"}), False,
                  "xterm runs there"),
    "no-such-service": (lambda machine, _qube: machine.answers.update(
        DescribeUse=[["read"], ["exit", 127]]), False, "something unknown runs there"),
    "a-lie": (lambda machine, _qube: machine.values.update(
        DescribeUse={"used_by": "\x1b[2J"}), False, "something unknown runs there"),
}


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
@pytest.mark.parametrize(("change", "halted", "says"), USES.values(), ids=USES)
def test_who_is_put_back(
    three: Honest, change: Change, halted: bool, says: str, fails: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(three, vm(three, "work"))
    if fails:
        three.answers["RunBackup"] = failure("borg-failed")

    run(three, "work")

    assert (vm(three, "work").state == "Halted") == halted
    assert says in capsys.readouterr().out
    assert "x-qborg-started" not in vm(three, "work").features.own


def _net(machine: Honest, *above: str) -> None:
    """Have work and home behind a halted net qube."""
    for name, netvm in (("sys-vpn", "sys-firewall"), ("home", "sys-vpn"), ("work", "sys-vpn")):
        qube = machine.app.domains.all.get(name) or machine.qube(name, "Halted")
        qube.netvm = netvm
    vm(machine, "sys-vpn").provides_network = True
    for name in above:
        vm(machine, name).state = "Halted"


def test_net_qubes_go_down_last_the_nearest_first(three: Honest) -> None:
    _net(three, "sys-firewall", "borg-maintenance", "mail")

    assert run(three, "home", "work", "--jobs", "1") == 0

    assert [line for line in moves(three) if line.startswith("shutdown")] == [
        f"shutdown {name}" for name in ("home", "work", "sys-vpn", "sys-firewall")]


def test_a_net_qube_with_a_client_of_its_own_stays_on_and_one_that_ran_is_left_alone(
    three: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    _net(three)
    honest = three.handle

    def answer(qube: Vm, service: str, argument: str) -> Actions:
        vm(three, "home").state = "Running"  # by somebody else
        return honest(qube, service, argument)

    three.app.handler = answer
    assert run(three, "work") == 0

    assert "sys-vpn was started for this and stays on: " in capsys.readouterr().out
    states = {name: vm(three, name).state for name in ("work", "home", "sys-vpn", "sys-firewall")}
    assert states == {"work": "Halted", **dict.fromkeys(("home", "sys-vpn", "sys-firewall"),
                                                       "Running")}


def test_the_memory_of_the_net_qubes_counts_as_well(three: Honest) -> None:
    _net(three)
    for name in ("home", "work", "sys-vpn"):
        vm(three, name).memory = 1000

    assert run(three, "home", "work", "--memory", "2999") == 0
    assert moves(three)[:3] == ["start home", "call home", "shutdown home"]


# What a killed run has noted of a qube that it has started just now.
LEFT: dict[str, Callable[[Vm], str]] = {
    "once-it-ran": lambda qube: f"{qube.uuid} {qube.start_time}",
    "amid-its-start": lambda qube: f"{qube.uuid} >{int(time.time()) - 5}",
}


@pytest.mark.parametrize("mark", LEFT.values(), ids=LEFT)
def test_what_a_killed_run_left_on_is_halted_by_the_next_though_it_is_not_due(
    three: Honest, mark: Callable[[Vm], str]
) -> None:
    _net(three)
    for name in NAMES:
        note(vm(three, name), times={"backup": str(int(time.time()))})
    for name in ("work", "sys-vpn"):
        qube = vm(three, name)
        qube.start()
        qube.start_time = time.time()
        qube.features.own["x-qborg-started"] = mark(qube)

    assert run(three, "--due") == 0

    assert moves(three) == ["call work", "shutdown work", "shutdown sys-vpn"]


def test_a_net_qube_that_a_killed_run_left_on_is_halted_where_nothing_is_due(
    three: Honest,
) -> None:
    _net(three)
    for name in NAMES:
        note(vm(three, name), times={"backup": str(int(time.time()))})
    net = vm(three, "sys-vpn")
    net.start()
    net.start_time = time.time()
    net.features.own["x-qborg-started"] = f"{net.uuid} {net.start_time}"

    assert run(three, "--due") == 0

    assert moves(three) == ["shutdown sys-vpn"] and "x-qborg-started" not in net.features.own


def test_what_is_no_client_any_more_is_left_alone(three: Honest) -> None:
    work = vm(three, "work")
    work.start()
    work.features.own["x-qborg-started"] = f"{work.uuid} {work.start_time}"
    for feature in ("x-qborg", "service.qborg-client"):
        del work.features.own[feature]

    assert run(three, "home") == 0

    assert work.state == "Running" and "shutdown work" not in moves(three)


STALE: dict[str, Callable[[Vm], str]] = {
    "of-an-earlier-start": lambda qube: f"{qube.uuid} 0",
    "of-the-one-it-was-copied-from": lambda _qube: (
        f"00000000-0000-0000-0000-000000000000 >{int(time.time())}"),
    "intended-before-an-earlier-boot": lambda qube: f"{qube.uuid} >{int(time.time()) - 3600}",
    "intended-after-its-start": lambda qube: f"{qube.uuid} >{int(time.time()) + 60}",
    "without-a-time": lambda qube: str(qube.uuid),
    "empty": lambda _qube: "",
}


@pytest.mark.parametrize("mark", STALE.values(), ids=STALE)
def test_a_stale_mark_halts_nobodys_qube(three: Honest, mark: Callable[[Vm], str]) -> None:
    work = vm(three, "work")
    work.start()
    work.start_time = time.time()
    work.features.own["x-qborg-started"] = mark(work)

    assert run(three, "work") == 0

    assert moves(three) == ["call work"]
    assert work.state == "Running" and "x-qborg-started" not in work.features.own


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_that_is_under_way_and_puts_it_back(
    three: Honest, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    _net(three)
    honest = three.handle

    def answer(qube: Vm, service: str, argument: str) -> Actions:
        if service == "RunBackup" and qube.name == "work":
            os.kill(os.getpid(), number)
        if service == "RunBackup":
            return [["read"], ["sleep", 600]]
        return honest(qube, service, argument)

    three.app.handler = answer
    assert run(three, "home", "work") == 128 + number

    assert {vm(three, name).state for name in (*NAMES, "sys-vpn")} == {"Halted"}
    assert "error: stopped" in capsys.readouterr().err
