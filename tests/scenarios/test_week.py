"""A week, moment by moment: what happens to the qubes, and that the status tells the truth of it.

The lab's clock is the host's, so days pass backwards: every stamp that anybody keeps gets older.
"""

import json
import time
from collections.abc import Callable

import pytest

from lab import Lab
from scenarios import bent, person

LAST = "/home/user/.local/state/qubes-borg/last.json"
_AGES = """
import json, sys
path, seconds, claim = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
told = json.load(open(path))
for key in ("success", "began"):
    told[key] = int(claim[0]) if claim else told.get(key) and told[key] - seconds
json.dump(told, open(path, "w"))
"""
_SERVER = """
import datetime, pathlib, re, sys
for path in pathlib.Path("repos").glob(f"*{sys.argv[2]}/transactions"):
    older = lambda found: (datetime.datetime.fromisoformat(found[0])
                           - datetime.timedelta(seconds=int(sys.argv[1]))).isoformat()
    path.write_text(re.sub(r"[0-9]{4}-[0-9-]{5}T[0-9:.]+", older, path.read_text()))
"""
_DOM0 = """
import json
for vm in app.domains:
    if "x-qborg" in vm.features:
        told = json.loads(vm.features["x-qborg"])
        for key, seconds in told["times"].items():
            told["times"][key] = str(max(0, int(seconds) - {seconds}))
        vm.features["x-qborg"] = json.dumps(told, sort_keys=True, separators=(",", ":"))
        if "x-qborg-whole" in vm.features:
            whole = int(vm.features["x-qborg-whole"]) - {seconds}
            vm.features["x-qborg-whole"] = str(max(0, whole))
"""
HALF_A_WEEK = 3.5


def _runs(lab: Lab, code: int = 0) -> None:
    """Let cron's hour come in work."""
    assert lab.exec("work", ["qborg-run", "--scheduled"], timeout=900).returncode == code


def _claims(lab: Lab, qube: str, *options: str) -> None:
    lab.exec(qube, ["python3", "-c", _AGES, LAST, *options], check=True)


def _server_ages(lab: Lab, seconds: str, of: str) -> None:
    lab.server.exec(
        ["python3", "-c", _SERVER, seconds, of], user="zh1234", cwd=person.HOME, check=True)


def _days(lab: Lab, days: float) -> None:
    """Let days pass, by the clocks of dom0, of the server and of the qubes that run."""
    seconds = str(int(days * 86400))
    bent.in_dom0(lab, _DOM0.format(seconds=seconds))
    _server_ages(lab, seconds, "")
    for name in ("work", "personal"):
        if lab.qubes()[name]["state"] == "Running":
            _claims(lab, name, seconds)


def _backs_up(lab: Lab, *wanted: str) -> None:
    person.runs(lab, "qvm-borg-backup", *wanted)


def _is_late(lab: Lab) -> None:
    _days(lab, HALF_A_WEEK)


def _is_due(lab: Lab) -> None:
    _backs_up(lab, "--due")
    assert lab.qubes()["personal"]["state"] == "Halted"


def _is_clean(lab: Lab) -> None:
    _is_late(lab)
    assert "personal: nothing new" in person.runs(lab, "qvm-borg-backup", "personal")


def _work_is_off_and_on(lab: Lab) -> None:
    """By its own cron it was backed up, and dom0 heard so while it ran."""
    lab.do("shutdown", "work")
    assert lab.run(["qvm-borg-status"]).returncode == 0
    lab.do("start", "work")


def _runs_cut(lab: Lab) -> None:
    """Somebody halts personal amid a run: the server has a commit of it."""
    lab.do("shutdown", "personal")
    _server_ages(lab, str(int(-HALF_A_WEEK * 86400)), "personal")


def _server_is_down(lab: Lab) -> None:
    lab.server.stop_sshd()
    _is_late(lab)
    _runs(lab, code=1)


def _server_is_back(lab: Lab) -> None:
    lab.server.start_sshd()
    _runs(lab)


def _quota_is_full(lab: Lab) -> None:
    person.runs(lab, "qvm-borg-enroll", "work", "--quota", "10M")
    big = ["dd", "if=/dev/urandom", "of=/home/user/big", "bs=1M", "count=16"]
    lab.exec("work", big, check=True)
    _days(lab, 1.5)
    _runs(lab, code=1)


def _quota_is_raised(lab: Lab) -> None:
    person.runs(lab, "qvm-borg-enroll", "work", "--quota", "none")
    _runs(lab)


def _lies(lab: Lab) -> None:
    _is_late(lab)
    _claims(lab, "work", "0", str(int(time.time())))


def _clock_is_ahead(lab: Lab) -> None:
    _claims(lab, "work", "0", str(int(time.time()) + 3 * 86400))


def _is_used(lab: Lab) -> None:
    """Somebody opens personal while dom0 backs it up: it stays on."""
    lab.do("start", "personal")
    lab.do("shutdown", "personal")
    lab.faults.clear()
    deadline = time.monotonic() + 300
    with lab.popen("dom0", ["qvm-borg-backup", "personal"], input=False) as tool:
        while not any(call["name"].startswith("qborg.RunBackup+") for call in lab.trace()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with lab.popen("personal", ["sleep", "600"], input=False):
            said = b"".join(tool.communicate(None, 120)).decode()
    assert "stays on: sleep runs there" in said


def _template_lost_borgmatic(lab: Lab) -> None:
    bent.root_does(lab, "work", "mv /usr/bin/borgmatic /usr/bin/gone")
    _is_late(lab)
    _runs(lab, code=1)


def _template_is_mended(lab: Lab) -> None:
    lab.do("shutdown", "work")
    lab.do("start", "work")
    _runs(lab)


def _keeper_is_off(lab: Lab) -> None:
    lab.do("shutdown", "borg-maintenance")


def _work_is_off(lab: Lab) -> None:
    lab.do("start", "borg-maintenance")
    lab.do("shutdown", "work")


# What happens, then the troubles of work, of personal, and of no single qube.
MOMENTS: tuple[tuple[str, Callable[[Lab], object], list[str], list[str], list[str]], ...] = (
    ("monday", lambda lab: None, [], [], []),
    ("a-day-later", lambda lab: _days(lab, 1), [], [], []),
    ("nobody-backs-up", _is_late, ["overdue"], ["overdue"], []),
    ("the-timer-does", _is_due, [], [], []),
    ("one-has-nothing-new", _is_clean, ["overdue"], [], []),
    ("the-hour-of-cron", _runs, [], [], []),
    ("it-is-off-and-on", _work_is_off_and_on, [], [], []),
    ("the-server-is-down", _server_is_down, ["failing"], [], ["unobserved"]),
    ("the-server-is-back", _server_is_back, [], [], []),
    ("the-quota-is-full", _quota_is_full, ["failing"], [], []),
    ("and-stays-full", lambda lab: _days(lab, 1), ["failing"], [], []),
    ("the-quota-is-raised", _quota_is_raised, [], [], []),
    ("a-claim-without-a-backup", _lies, ["claims-more", "overdue"], [], []),
    ("a-backup-to-it", lambda lab: _backs_up(lab, "work"), [], [], []),
    ("a-clock-that-is-ahead", _clock_is_ahead, ["claims-more"], [], []),
    ("and-set-again", _runs, [], [], []),
    ("one-is-used-meanwhile", _is_used, [], [], []),
    ("a-template-without-borgmatic", _template_lost_borgmatic, ["failing"], ["overdue"], []),
    ("a-template-that-has-it", _template_is_mended, [], ["overdue"], []),
    ("a-run-that-was-cut", _runs_cut, [], ["unsure"], []),
    ("what-is-overdue-is-done", lambda lab: _backs_up(lab, "--due"), [], [], []),
    ("the-keeper-is-off", _keeper_is_off, [], [], []),
    ("work-is-off", _work_is_off, [], [], []),
)


@pytest.fixture(scope="module")
def week(escrowed_once: Lab) -> Lab:
    """Answer a lab in which work runs and personal is halted, both enrolled."""
    person.runs(escrowed_once, "qvm-borg-enroll", "personal")
    return escrowed_once


def test_the_status_tells_the_truth_at_each_moment(week: Lab) -> None:
    for name, happens, work, personal, of_all in MOMENTS:
        happens(week)
        power = {name: qube["state"] for name, qube in week.qubes().items()}

        run = week.run(["qvm-borg-status", "--json"])

        found = json.loads(run.stdout)
        rows = {row["qube"]: [each["name"] for each in row["troubles"]] for row in found["qubes"]}
        told = [rows["work"], rows["personal"], [each["name"] for each in found["troubles"]]]
        assert (name, told) == (name, [work, personal, of_all]), found
        assert run.returncode == (27 if work or personal or of_all else 0), name
        assert {name: qube["state"] for name, qube in week.qubes().items()} == power, name
