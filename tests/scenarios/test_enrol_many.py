"""Several qubes by one command: enrolled side by side, cut amid it, and rotated."""

import signal
import time

from lab import Lab
from scenarios import crowd, person, state

NAMES = ("q0", "q1", "q2")  # the first one runs
ENROL = ("qvm-borg-enroll", *NAMES)
RUNNING, HALTED = "Running", "Halted"


def _calls(lab: Lab, service: str) -> list[str]:
    return [call["name"].partition("+")[2] for call in lab.trace()
            if call["name"].startswith(f"qborg.{service}+")]


def _are_enrolled(lab: Lab) -> None:
    """See that each is, with its record proved and nothing left open or on."""
    for name in NAMES:
        noted = state.noted(lab, name)
        assert noted["step"] == "forget" and noted["notes"]["proved"].startswith("in a worker")
    assert state.gates(lab) == []
    qubes = lab.qubes()
    assert [qubes[name]["state"] for name in NAMES] == [RUNNING, HALTED, HALTED]
    assert "borg-worker" not in qubes
    assert not [name for name, qube in state.qubesd(lab).items()
                if "x-qborg-started" in qube["features"]]


def test_they_go_side_by_side_and_rotate_so(vaulted: Lab) -> None:
    crowd.joins(vaulted, NAMES, 1)
    vaulted.faults.clear()

    said = person.runs(vaulted, *ENROL)

    assert said.count(": enrolled as qubes-") == 3 and "stays on" not in said
    _are_enrolled(vaulted)
    assert len(_calls(vaulted, "PublishKeys")) == 1
    assert set(_calls(vaulted, "InstallBundle")) == {f"qubes-{name}" for name in NAMES}
    # The second one began before the first one was through.
    order = [call["name"] for call in vaulted.trace()]
    assert order.index("qborg.InitRepository+qubes-q1") < order.index(
        "qborg.ProveBundle+qubes-q0")
    assert person.runs(vaulted, *ENROL).count("nothing was changed") == 3

    assert "q2: its key alone" in person.runs(vaulted, "qvm-borg-rotate", *NAMES)
    _are_enrolled(vaulted)
    assert person.runs(vaulted, "qvm-borg-check", *NAMES).count("opens") == 3


def test_killed_amid_it_the_next_run_goes_on_with_all(vaulted: Lab) -> None:
    crowd.joins(vaulted, NAMES, 1)
    vaulted.faults.clear()
    vaulted.faults.add(where="qrexec", match="qborg.RunBackup+*", action="kill-caller")
    assert vaulted.run([*ENROL]).returncode not in (0, 11)
    assert all(state.noted(vaulted, name)["step"] != "forget" for name in NAMES)
    vaulted.faults.clear()

    person.runs(vaulted, *ENROL)

    _are_enrolled(vaulted)


def test_ctrl_c_puts_all_of_them_back(vaulted: Lab) -> None:
    crowd.joins(vaulted, NAMES, 1)
    vaulted.faults.clear()
    with vaulted.popen("dom0", ENROL, input=False) as tool:
        deadline = time.monotonic() + 240
        while len(_calls(vaulted, "StartSchedule")) < 2:
            assert time.monotonic() < deadline, "they did not come so far"
            time.sleep(0.02)
        tool.send_signal(signal.SIGINT)
        said = b"".join(tool.communicate(None, 120)).decode()

    assert tool.returncode == 130 and "error: stopped" in said and "Traceback" not in said
    assert [vaulted.qubes()[name]["state"] for name in NAMES] == [RUNNING, HALTED, HALTED]
    assert state.gates(vaulted) == [] and "borg-worker" not in vaulted.qubes()
    person.runs(vaulted, *ENROL)
    _are_enrolled(vaulted)


def test_what_one_lacks_stops_no_other(vaulted: Lab) -> None:
    crowd.joins(vaulted, NAMES, 1)
    vaulted.faults.clear()
    vaulted.faults.add(where="qrexec", match="qborg.InitRepository+qubes-q1", action="refuse")

    run = vaulted.run([*ENROL])

    assert run.returncode == 11 and b"error: q1: " in run.stderr
    assert run.stdout.count(b": enrolled as qubes-") == 2
    vaulted.faults.clear()
    person.runs(vaulted, *ENROL)
    _are_enrolled(vaulted)
