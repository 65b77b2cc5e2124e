"""kill -9 of the dom0 tool at every boundary of an enrolment; one more run converges.

The table is generated from the calls of a clean run: whatever changes something, before it and
after it. So a step that is added is in it without anybody remembering.
"""

import json
import re
from typing import Any

import pytest

from lab import Lab
from scenarios import person, state

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
# What the enrolment of one running qube calls to change something, in this order. Written down,
# so that a new step changes the number and is looked at here.
CALLS = (
    ("qrexec", "qborg.CheckSetup+"),
    ("qrexec", "qborg.DescribeClient+"),
    ("qrexec", "qborg.MakeKeys+qubes-work"),
    ("qubesd", "admin.vm.feature.Set+x-qborg"),
    ("qrexec", "qborg.PublishKeys+"),
    ("qrexec", "qborg.InitRepository+qubes-work"),
    ("qubesd", "admin.vm.feature.Set+service.qborg-client"),
    ("qrexec", "qborg.SendBundle+qubes-work"),
    ("qrexec", "qborg.InstallBundle+qubes-work"),
    ("qubesd", "admin.vm.feature.Set+service.crond"),
    ("qrexec", "qborg.StartSchedule+"),
    ("qrexec", "qborg.RunBackup+qubes-work"),
    ("qrexec", "qborg.ProveRecord+qubes-work"),
)
READS = re.compile(r"admin\.(vm\.(List|CurrentState|property|feature\.(Get|Check)|tag)|property)")


def _changing(trace: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for call in trace if READS.match(call["name"]) is None]


@pytest.fixture(scope="module")
def undisturbed(world: Lab) -> dict[str, Any]:
    """The end state of a clean run and the calls that led to it."""
    world.restore("ready")
    world.faults.clear()
    person.runs(world, *ENROL)
    calls = _changing(world.trace())
    return {"calls": calls, "end": _end_state(world)}


def _end_state(lab: Lab) -> dict[str, Any]:
    """What must be the same after any way to the end: no key, digest or time is in it."""
    knows = state.qubesd(lab)
    note = json.loads(knows["work"]["features"].pop("x-qborg"))
    client = state.files(lab, "work", "/rw/home/user", "/rw/bind-dirs", "/rw/config")
    kept = state.files(lab, "borg-maintenance", "/rw/home/user")
    server = state.files(lab, "server", person.HOME)
    keys = lab.server.exec(["cat", f"{person.HOME}/{person.KEYS}"], check=True).stdout
    return {
        "qubesd": knows,
        "note": {key: sorted(value) if isinstance(value, dict) else "" for key, value in
                 note.items()},
        "step": note["step"],
        "client": {path: about[:3] for path, about in client.items() if "/borg/" not in path},
        "maintenance": {path: about[:3] for path, about in kept.items()},
        "server": {path: about[:3] for path, about in server.items() if "/data/" not in path
                   and not re.search(r"/(hints|index|integrity)\.[0-9]+$", path)},
        "lines": [re.sub(rb"AAAA\S+|epoch=[0-9]+", b"", line) for line in keys.splitlines()],
        "crontab": lab.exec("work", ["crontab", "-l"], check=True).stdout,
        "gates": state.gates(lab),
    }


def test_the_table_names_every_call_that_changes_something(undisturbed: dict[str, Any]) -> None:
    seen = []
    for call in undisturbed["calls"]:
        if (call["where"], call["name"]) not in seen:
            seen.append((call["where"], call["name"]))

    assert sorted(seen) == sorted(CALLS)


ROWS = [
    pytest.param(where, name, when, id=f"{when}-{name}")
    for where, name in CALLS
    for when in ("before", "after")
]


@pytest.mark.parametrize(("where", "name", "when"), ROWS)
def test_one_more_run_reaches_the_same_end(
    ready: Lab, undisturbed: dict[str, Any], where: str, name: str, when: str
) -> None:
    ready.faults.add(where=where, match=name, n=1, when=when, action="kill-caller")
    killed = ready.run(list(ENROL))
    ready.faults.clear()

    person.runs(ready, *ENROL)

    # The caller of InstallBundle is in the maintenance qube; dom0's tool may live to try again.
    assert killed.returncode != 0 or name.startswith("qborg.InstallBundle")
    assert _end_state(ready) == undisturbed["end"]
