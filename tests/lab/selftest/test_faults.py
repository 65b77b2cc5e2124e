"""Fault rules: what is a rule, whom it hits, and whom a kill reaches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lab.fault_rules import Rule
from lab.faults import Call, Faults, kill_caller


@pytest.mark.parametrize(
    "fields",
    [
        {"where": "xen"},
        {"when": "during"},
        {"when": "amid", "action": "refuse"},
        {"action": "kill-service"},
        {"action": "kill-sshd:now", "where": "qrexec"},
        {"n": -1},
        {"action": "explode"},
        {"action": "delay"},
        {"action": "delay:long"},
        {"action": "kill-qube"},
        {"action": "kill-caller:now"},
        {"action": "cut-after:x", "where": "qrexec"},
        {"action": "cut-after:1:up", "where": "qrexec"},
        {"action": "cut-after:1", "where": "qubesd"},
        {"action": "cut-after:1", "where": "qrexec", "when": "after"},
        {"unknown": "1"},
    ],
)
def test_rule_that_cannot_act_is_refused(fields: dict[str, object]) -> None:
    """A test whose fault never comes would pass for nothing."""
    with pytest.raises(ValueError):
        Rule.from_json({"where": "qubesd", "match": "*"} | fields)


def test_rule_of_a_trace_entry_hits_that_call_again() -> None:
    """Every call of a clean run can be hit in the next, and only it."""
    calls = [("work", "a+"), ("vault", "a+"), ("work", "a+"), ("work", "b+1")]
    faults = Faults()
    for target, name in calls:
        faults.before(Call("qubesd", "dom0", target, name))
    entries = faults.trace()

    for number, entry in enumerate(entries):
        faults.clear()
        faults.add(entry.rule("before", "refuse"))
        verdicts = [faults.before(Call("qubesd", "dom0", *call)).kind for call in calls]
        assert [kind == "refuse" for kind in verdicts] == [n == number for n in range(4)]


@pytest.mark.parametrize("refused", [0, 1, 3])
def test_a_rule_may_count_what_came_to_its_end_alone(refused: int) -> None:
    """How often a gate is tried before it is noticed varies, and the second call is the second."""
    faults = Faults()
    faults.add(Rule.from_json({"where": "qrexec", "match": "a+", "n": 2, "when": "after",
                               "action": "kill-qube:work", "ended": True}))
    killed: list[str] = []
    faults.kill_qube = killed.append
    for ends in [False] * refused + [True, True, True]:
        call = Call("qrexec", "vault", "work", "a+")
        faults.before(call)
        if ends:
            faults.after(call)
        faults.ended()

    hits = [entry.hit for entry in faults.trace()]
    assert killed == ["work"] and hits == [False] * refused + [False, True, False]


def test_kill_qube_asks_for_it() -> None:
    """The qube is killed and the call goes on."""
    killed: list[str] = []
    faults = Faults(killed.append)
    faults.add(Rule("qrexec", "a+", action="kill-qube:work"))

    assert faults.before(Call("qrexec", "dom0", "vault", "a+")).kind == "go"
    assert killed == ["work"]


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("session", [True, False], ids=["session", "process"])
def test_kill_reaches_the_session_or_the_process(session: bool) -> None:
    """A client's parent dies with it in dom0, and lives on in a qube."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())

    kill_caller(child, session)

    code = parent.wait(timeout=20)
    assert code == (-signal.SIGKILL if session else 0)


def test_kill_spares_our_own_session() -> None:
    """A caller without a session of its own dies alone."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    kill_caller(child.pid, session=True)

    assert child.wait(timeout=20) == -signal.SIGKILL
    assert os.getpid() > 0


def test_delay_takes_its_time() -> None:
    """The call waits and then goes on."""
    faults = Faults()
    faults.add(Rule("qubesd", "*", 0, "before", "delay:0.1"))
    began = time.monotonic()

    assert faults.before(Call("qubesd", "dom0", "work", "a+")).kind == "go"
    assert time.monotonic() - began >= 0.1
