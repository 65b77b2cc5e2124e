"""The table of kills is as large as it was when somebody last looked at it."""

from collections import Counter

from scenarios import kills

CALLS = kills.written_down()


def test_the_number_of_kills_is_known() -> None:
    rows = kills.rows(CALLS)

    assert len({str(row) for row in rows}) == len(rows)
    assert Counter(row.victim for row in rows) == {
        "tool": 452, "service": 174, "sshd": 174, "borg-maintenance": 139, "work": 143, "vault": 61,
        "borg-worker": 48,
    }  # fmt: skip


def test_every_victim_is_killed_at_the_boundaries_too() -> None:
    rows = kills.boundaries(CALLS)

    assert set(rows) <= set(kills.rows(CALLS))
    assert len(rows) == 63
    assert {row.victim for row in rows} == {row.victim for row in kills.rows(CALLS)}


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
