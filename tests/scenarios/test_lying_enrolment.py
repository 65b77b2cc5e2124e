"""An evil client while it is enrolled: it lies about itself, its bundle, its cron, its proof.

Every row begins where delivery, schedule and proof are to be done once more.
"""

import json

import pytest

from lab import Lab
from scenarios import attacker, attempts, person, state
from scenarios.attacker import ESC, MARK, QUICK, Actions, says

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")
OK = "nonce=@NONCE@\noutcome=ok\n"
_UNDO = """
import json, sys, qubesadmin
qube = qubesadmin.Qubes().domains["work"]
note = json.loads(qube.features["x-qborg"])
note["step"], note["digests"]["bundle"] = "initialise", "0" * 64
note["times"].pop("proved", None)
qube.features["x-qborg"] = json.dumps(note, sort_keys=True, separators=(",", ":"))
"""
SELF = {
    "qube": "work", "borg": "1.4.0", "borgmatic": "1.9.14", "cron": "running",
    "server": "reachable", "host_key": "@KEY@", "repository": "none", "bundle": "none",
    "endpoint": "none", "last_success": "0", "last_outcome": "never",
}


@pytest.fixture(scope="module")
def undone(world: Lab) -> Lab:
    """Enrolled, but dom0 remembers nothing after the repository's birth and cron is dead."""
    world.faults.clear()
    world.restore("enrolled")
    return world


def _undo(lab: Lab) -> None:
    lab.run(["python3", "-c", _UNDO], check=True)
    lab.exec("work", ["sh", "-c", "kill $(cat /run/crond.pid)"], user="root")


def _described(lab: Lab, **lies: str) -> Actions:
    values = {**SELF, "host_key": person.fingerprint(lab), **lies}
    return says(OK + "".join(f"{key}={value}\n" for key, value in values.items()))


# What DescribeClient says of itself otherwise, and the exit code.
DESCRIBED = {
    "another-qube": ({"qube": "personal"}, 8),
    "another-case": ({"qube": "Work"}, 8),
    "escapes-for-a-name": ({"qube": f"work{ESC}"}, 8),
    "borg-2": ({"borg": "2.0.0"}, 22),
    "no-borg": ({"borg": "none"}, 22),
    "version-with-escapes": ({"borg": f"1.4{ESC}"}, 8),
    "cron-half": ({"cron": "half"}, 8),
    "no-cron": ({"cron": "missing"}, 22),
    "another-host-key": ({"host_key": "SHA256:" + "A" * 43}, 16),
    "host-key-is-text": ({"host_key": MARK}, 8),
    "repository-climbs": ({"repository": "qubes-../x"}, 8),
    "bundle-is-text": ({"bundle": MARK}, 8),
    "time-is-huge": ({"last_success": "9" * 30}, 8),
}  # fmt: skip
ABOUT_ITSELF = attempts.coded(
    "describe itself", ((name, code) for name, (_lies, code) in DESCRIBED.items()))  # fmt: skip


@pytest.mark.parametrize(("lies", "code"), DESCRIBED.values(), ids=DESCRIBED)
def test_a_client_that_lies_about_itself_is_not_enrolled(
    undone: Lab, lies: dict[str, str], code: int
) -> None:
    attacker.shadows(undone, "qborg.DescribeClient", *_described(undone, **lies))
    before = state.qubesd(undone)

    attacker.is_seen_through(undone, *ENROL, code=code)

    attacker.repents(undone)
    assert state.qubesd(undone) == before


def test_a_client_that_does_not_answer_in_time_is_given_up(undone: Lab) -> None:
    attacker.shadows(undone, "qborg.DescribeClient", ["read"], ["drip", "n", 10**6, 1])

    said = attacker.is_seen_through(undone, *ENROL, code=20, seconds=25 + QUICK)

    attacker.repents(undone)
    assert "did not answer in time" in said


def test_a_client_that_hides_its_bundle_only_gets_its_own_again(undone: Lab) -> None:
    record = attacker.record_of(undone)
    attacker.shadows(undone, "qborg.DescribeClient", *_described(undone))

    attacker.is_seen_through(undone, *ENROL, code=8)

    attacker.repents(undone)
    assert attacker.record_of(undone) == record


# What a service of a later step answers, and the exit code of the command.
LIES: dict[str, tuple[str, Actions, int]] = {
    "InstallBundle-another": (
        "InstallBundle", says(f"{OK}bundle={'0' * 64}\nchanged=yes\naside=no\n"), 6),
    "InstallBundle-escapes": ("InstallBundle", says(ESC), 6),
    "InstallBundle-flood": ("InstallBundle", [["read"], ["flood", MARK]], 6),
    "StartSchedule-no": ("StartSchedule", says(f"{OK}cron=stopped\n"), 8),
    "StartSchedule-escapes": ("StartSchedule", says(f"{OK}cron={ESC}\n"), 8),
    "StartSchedule-flood": ("StartSchedule", [["read"], ["flood", f"{MARK}\n"]], 8),
    "StartSchedule-127": ("StartSchedule", [["read"], ["exit", 127]], 7),
    "ProveBundle-another": ("ProveBundle", says(f"{OK}proof={'0' * 64}\n"), 12),
    "ProveBundle-escapes": ("ProveBundle", says(f"{OK}proof={ESC}\n"), 8),
    "ProveBundle-gone": ("ProveBundle", [["read"], ["exit", 255]], 5),
}  # fmt: skip
LATER = attempts.coded(
    "answer in a later step", ((name, code) for name, (_service, _actions, code) in LIES.items())
)


@pytest.mark.parametrize(("service", "actions", "code"), LIES.values(), ids=LIES)
def test_a_lie_in_a_later_step_stops_the_enrolment_there(
    undone: Lab, service: str, actions: Actions, code: int
) -> None:
    _undo(undone)
    attacker.shadows(undone, f"qborg.{service}", *actions)

    attacker.is_seen_through(undone, *ENROL, code=code)

    assert "proved" not in json.loads(state.qubesd(undone)["work"]["features"]["x-qborg"])["times"]
    attacker.repents(undone)


def test_after_a_lie_the_truth_goes_on(undone: Lab) -> None:
    _undo(undone)
    attacker.shadows(undone, "qborg.ProveBundle", *says(f"{OK}proof={'0' * 64}\n"))
    attacker.is_seen_through(undone, *ENROL, code=12)
    attacker.repents(undone)

    assert "work: enrolled" in person.runs(undone, *ENROL)
