"""The table of kills is as large as it was when somebody last looked at it."""

from collections import Counter
from pathlib import Path

import pytest

from kill import table
from qborg_wire.services import SERVICES
from scenarios import kills

CALLS = kills.written_down()
SCENARIOS = Path(kills.__file__).parent
# What none of the runs calls: the scenarios that kill at it, or why nobody needs to.
ELSEWHERE = {
    "RevokeKeys": "test_revoke.py",
    "RemoveBundle": "test_revoke.py",
    "RestoreFiles": "test_recover_qube.py",
    "ReceiveFiles": "test_restore.py",
    "TakeRecord": "test_restore.py",
    "DescribeAccount": "test_recover_kill.py",
    "ExpectAccount": "test_recover_kill.py",
    "AcceptAccount": "test_recover_kill.py",
    "PrintKit": "test_kit.py",
    "CopyRecord": "test_new_repository.py",
    "RenameBorg": "test_access_changes.py",
    "RepairKey": "test_worker.py",
}
NOWHERE = {
    "ObserveServer": "it looks at the server, and notes what it saw in one file that is swapped",
    "DescribeUse": "it only looks",
    "ListArchives": "it only looks",
    "ListFiles": "it only looks",
    "ReadManifest": "it only looks, in a worker, which goes away as after ProveRecord",
}


def test_the_number_of_kills_is_known() -> None:
    rows = kills.rows(CALLS)

    assert len({str(row) for row in rows}) == len(rows)
    assert Counter(row.victim for row in rows) == {
        "tool": 485, "service": 186, "sshd": 186, "borg-maintenance": 148, "work": 143, "vault": 74,
        "borg-worker": 48,
    }  # fmt: skip


def test_every_victim_is_killed_at_the_boundaries_too() -> None:
    rows = kills.boundaries(CALLS)

    assert set(rows) <= set(kills.rows(CALLS))
    assert len(rows) == 71
    assert {row.victim for row in rows} == {row.victim for row in kills.rows(CALLS)}


def test_a_rotation_is_killed_where_its_keys_take_over() -> None:
    rows = kills.turns([call for call in CALLS if call.run == "rotate"])

    assert set(rows) <= set(kills.rows(CALLS))
    assert [(row.call.step, row.call.name.partition("+")[0], row.victim) for row in rows] == [
        (18, "qborg.AdoptBundle", "service"), (20, "admin.vm.feature.Set", "tool"),
        (40, "qborg.PublishKeys", "service"),
    ]  # fmt: skip


def test_every_service_has_rows_or_is_told_why_not() -> None:
    struck = {row.call.name.removeprefix("qborg.").partition("+")[0] for row in kills.rows(CALLS)
              if row.call.where == "qrexec"}  # fmt: skip

    assert sorted([*struck, *ELSEWHERE, *NOWHERE]) == sorted(SERVICES)
    for service, name in ELSEWHERE.items():
        text = (SCENARIOS / name).read_text(encoding="utf-8")
        assert service in text and "kill-" in text, name


def test_a_set_up_by_a_password_has_rows_for_what_the_plain_one_has_not() -> None:
    def named(run: str) -> set[tuple[str, ...]]:
        return {(call.source, call.target, call.name) for call in CALLS if call.run == run}

    struck = {(row.call.source, row.call.target, row.call.name) for row in kills.rows(CALLS)
              if row.call.run == kills.PASSWORD}  # fmt: skip

    assert struck == named(kills.PASSWORD) - named("setup") - named("login")
    assert ("dom0", "borg-maintenance", "qborg.FirstLogin+") in struck


def test_whoever_is_killed_is_alive() -> None:
    for row in kills.rows(CALLS):
        assert row.victim not in ("service", "sshd") or row.call.where == "qrexec"
        assert row.victim != row.call.target or row.call.running


def test_a_step_more_is_a_row_more_and_a_repetition_is_none() -> None:
    trace = [{"where": where, "source": "dom0", "target": "work", "name": name, "nth": nth,
              "running": True, "seconds": seconds} for where, name, nth, seconds in (
        ("qubesd", "admin.vm.CurrentState+", 1, 0.1),
        ("qubesd", "admin.vm.CurrentState+", 2, 0.1),
        ("qrexec", "qborg.X+", 1, 0.0),
        ("qrexec", "qborg.X+", 2, 0.5),
        ("qubesd", "admin.vm.CurrentState+", 3, 0.1),
    )]  # fmt: skip

    found = kills.distinct("run", trace)

    assert [(call.step, call.name, seen.nth) for call, seen in found.items()] == [
        (0, "admin.vm.CurrentState+", 1), (0, "qborg.X+", 0), (1, "admin.vm.CurrentState+", 3),
    ]  # fmt: skip
    assert len(kills.rows(found)) == 2 + 4 * 3 + 2


def _report(failed: bool = False, **properties: object) -> pytest.TestReport:
    outcome = "failed" if failed else "passed"
    return pytest.TestReport("t[row]", ("t", 1, "t"), {}, outcome, None, "call",
                             user_properties=properties.items())  # fmt: skip


def test_a_kill_that_struck_nobody_is_counted_apart() -> None:
    rows = [row for row in kills.rows(CALLS) if row.call.where == "qrexec"][:6]
    ended = [_report(struck=True), _report(struck=False), _report(failed=True, struck=False),
             _report(), _report(failed=True)]  # fmt: skip

    told = dict(zip(map(str, rows), map(table.outcome, ended), strict=False))
    text = table.rendered("2026-11-30", rows, told)

    assert text.startswith(
        "2026-11-30: 6 kills, 2 converged, 1 struck nobody, 2 did not, 1 not run.\n")
    first, second = text.splitlines()[-2:]
    assert first.endswith("| yes | not struck | **no** |")
    assert second.endswith("| yes | **no** | not run |")
