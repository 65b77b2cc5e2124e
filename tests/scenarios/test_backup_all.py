"""Backups of several qubes: who is started and who not, who is put back, and what is said."""

import json
import time

import pytest

from lab import Lab
from scenarios import person, state

MAKE = """
import qubesadmin
qubesadmin.Qubes().add_new_vm("AppVM", "mail", "yellow", "debian-13")
"""
NETWORK = "sys-firewall"
DONE, HALTED, RUNNING = "done", "Halted", "Running"


@pytest.fixture(scope="module")
def _three(world: Lab) -> None:
    """Keep a state in which work runs, personal and mail are halted, and all are enrolled."""
    world.faults.clear()
    world.restore("enrolled")
    world.run(["python3", "-c", MAKE], check=True)
    person.runs(world, "qvm-borg-enroll", "personal", "mail", "--no-escrow")
    world.snapshot("three")


@pytest.fixture
def three(world: Lab, _three: None) -> Lab:
    """Answer the lab in that state."""
    world.faults.clear()
    world.restore("three")
    return world


def _power(lab: Lab, *names: str) -> list[str]:
    return [lab.qubes()[name]["state"] for name in names]


def _started(lab: Lab) -> list[str]:
    return [call["target"] for call in lab.trace() if call["name"].startswith("admin.vm.Start+")]


def _without_network(lab: Lab) -> None:
    """Halt whoever uses the net qube, and the net qube."""
    for name, qube in lab.qubes().items():
        if qube["netvm"] == NETWORK and qube["state"] == RUNNING:
            lab.do("shutdown", name)
    lab.do("shutdown", NETWORK)
    lab.faults.clear()


def test_what_has_nothing_new_is_not_started_and_one_failure_stops_nobody(three: Lab) -> None:
    said = person.runs(three, "qvm-borg-backup", "--all")
    assert said.count("  done  ") == 3 and "stays on" not in said
    assert _power(three, "work", "personal", "mail") == [RUNNING, HALTED, HALTED]
    three.do("start", "mail")
    three.do("shutdown", "mail")
    three.faults.clear()
    three.faults.add(where="qrexec", match="qborg.RunBackup+qubes-work", action="refuse")

    run = three.run(["qvm-borg-backup", "--all", "--json"])

    rows = {row["qube"]: row for row in json.loads(run.stdout)}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "work": "failed", "personal": "clean", "mail": DONE}
    assert run.returncode == 11 and b"personal: nothing new since 20" in run.stderr
    assert rows["work"]["error"].startswith("work: ") and rows["mail"]["files"] > 0
    assert _started(three) == ["mail"]
    assert "no qube is due" in person.runs(three, "qvm-borg-backup", "--due")


def test_the_net_qube_comes_up_with_it_and_goes_down_last(three: Lab) -> None:
    _without_network(three)

    person.runs(three, "qvm-borg-backup", "personal", "mail", "--jobs", "1")

    assert _power(three, "personal", "mail", NETWORK) == [HALTED] * 3
    stopped = [call["target"] for call in three.trace()
               if call["name"].startswith("admin.vm.Shutdown+")]
    assert stopped == ["personal", "mail", NETWORK]


def test_what_somebody_uses_by_then_stays_on_and_is_named(three: Lab) -> None:
    _without_network(three)
    with three.popen("dom0", ["qvm-borg-backup", "personal"], input=False) as tool:
        while not any(call["name"].startswith("qborg.RunBackup+") for call in three.trace()):
            time.sleep(0.05)
        with three.popen("personal", ["sleep", "600"], input=False):
            said = b"".join(tool.communicate(None, 120)).decode()

    assert tool.returncode == 0
    assert "personal was started for this and stays on: sleep runs there" in said
    assert f"{NETWORK} was started for this and stays on" in said
    assert _power(three, "personal", NETWORK) == [RUNNING] * 2
    assert "revisions" not in state.noted(three, "personal")["digests"]


def test_what_a_killed_run_left_on_is_put_back_by_the_next(three: Lab) -> None:
    _without_network(three)
    three.faults.add(where="qrexec", match="qborg.RunBackup+*", action="kill-caller")
    three.run(["qvm-borg-backup", "personal"])
    assert _power(three, "personal", NETWORK) == [RUNNING] * 2
    three.faults.clear()

    person.runs(three, "qvm-borg-backup", "--due")

    assert _power(three, "personal", NETWORK) == [HALTED] * 2
    assert not [name for name, qube in state.qubesd(three).items()
                if "x-qborg-started" in qube["features"]]
