"""Several calls at once in one thread: each comes to its own end, and none outlives the others."""

import os
import time
from contextlib import closing

import pytest

from qborg_wire.names import Repository
from qborg_wire.reply import Progress
from qvm_borg import errors, flow, remote
from unit.dom0.machine import Actions, answer, failure, once
from unit.dom0.test_remote import BACKUP, GOOD, LONG, QUICK, ROW, Liar, closed

SLOW: Actions = [["read"], ["sleep", 600]]


def _flow(liar: Liar, told: list[Progress] | None = None) -> flow.Flow[dict[str, str]]:
    return remote.calling(liar, LONG, Repository("qubes", "work"), {},  # type: ignore[arg-type]
                          ([] if told is None else told).append)


def test_each_is_answered_whoever_ends_first() -> None:
    drips = [["read"], ["drip", "progress=backup 1 1\n", 5, 0.1], *answer(**BACKUP)[1:]]
    told: list[list[Progress]] = [[], []]

    found = flow.together(_flow(Liar(drips), told[0]), _flow(Liar(answer(**BACKUP)), told[1]))

    assert found == [BACKUP, BACKUP]
    assert [len(each) for each in told] == [5, 0]


def test_one_that_fails_ends_the_others_and_their_processes() -> None:
    slow, bad = Liar(SLOW), Liar(failure("borg-failed"))

    with pytest.raises(errors.BackupFailed):
        flow.together(_flow(slow), _flow(bad))

    assert slow.process.returncode is not None and closed(slow.process.stdout)


def test_one_that_runs_out_of_time_does_so_beside_a_living_one() -> None:
    drips: Actions = [["read"], ["drip", "progress=backup 1 1\n", 600, 0.1]]
    living, quick = Liar(drips), Liar(SLOW)

    with pytest.raises(errors.ServiceTimeout):
        flow.together(_flow(living), remote.calling(
            quick, QUICK, None, {}, print))  # type: ignore[arg-type]

    assert living.process.returncode is not None and quick.process.returncode is not None


def test_a_call_within_another_ones_flow_waits_for_itself_alone() -> None:
    def both() -> flow.Flow[dict[str, str]]:
        inner = once(Liar(GOOD), ROW, None, {}, print)  # type: ignore[arg-type]
        return inner | (yield from _flow(Liar(answer(**BACKUP))))

    assert flow.together(both()) == [{"cron": "running", **BACKUP}]


def test_a_closed_descriptor_may_be_another_ones_by_now() -> None:
    with closing(_flow(Liar(SLOW))) as slow:
        assert next(slow)[1] == []  # all is sent, and its number is free again
        with open(os.devnull, "rb") as another:
            assert slow.send({another.fileno()})[1] == []


def _taking(turn: flow.Turn, told: list[str], name: str, seconds: float) -> flow.Flow[str]:
    yield from turn.coming()
    with turn:
        told.append(f"{name} begins")
        yield from flow.pausing(seconds)
        told.append(f"{name} ends")
    return name


def test_a_turn_is_one_flows_at_a_time() -> None:
    turn, told = flow.Turn(), list[str]()

    assert flow.together(*(_taking(turn, told, name, 0.2) for name in "ab")) == ["a", "b"]

    assert told == ["a begins", "a ends", "b begins", "b ends"]


def test_a_turn_is_given_back_by_whoever_is_ended() -> None:
    turn, told = flow.Turn(), list[str]()
    with closing(_taking(turn, told, "a", 600)) as taken:
        next(taken)

    assert flow.together(_taking(turn, told, "b", 0)) == ["b"]
    assert told == ["a begins", "b begins", "b ends"]


def test_who_pauses_does_so_whatever_the_others_wait_for() -> None:
    order: list[str] = []

    def paused(name: str, *pauses: float) -> flow.Flow[None]:
        for seconds in pauses:
            yield from flow.pausing(seconds)
        order.append(name)

    flow.together(paused("long", 1.5), paused("short", *[0.02] * 10))

    assert order == ["short", "long"]


# How often another flow holds the thread for as long as the call may take in all: once, as the call
# begins, or amid an answer that comes in parts.
HOLDS = {"as-it-begins": (1, GOOD), "amid-it": (3, [
    ["read"], ["write", "nonce=@NONCE@\n"], ["sleep", 0.3],
    ["write", "outcome=ok\ncron=running\n"]])}


@pytest.mark.parametrize(("holds", "actions"), HOLDS.values(), ids=HOLDS)
def test_time_that_another_flow_holds_the_thread_is_not_the_callees(
    holds: int, actions: Actions
) -> None:
    def holding() -> flow.Flow[dict[str, str]]:
        for _hold in range(holds):
            time.sleep(1.5)
            yield from flow.pausing(0.01)
        return {}

    called = remote.calling(Liar(actions), QUICK, None, {}, print)  # type: ignore[arg-type]

    assert flow.together(called, holding()) == [{"cron": "running"}, {}]


def test_what_a_flow_waits_for_within_is_no_time_of_the_others() -> None:
    def nested() -> flow.Flow[float]:
        before = flow.now()
        flow.together(flow.pausing(0.5))
        assert flow.now() - before >= 0.4  # its own
        yield [], [], 0.0
        return flow.now() - before

    assert flow.together(nested())[0] < 0.4


def test_time_that_the_callee_takes_while_another_waits_is_its_own() -> None:
    silent = remote.calling(Liar(SLOW), QUICK, None, {}, print)  # type: ignore[arg-type]

    with pytest.raises(errors.ServiceTimeout):
        flow.together(silent, flow.pausing(60))


def test_nothing_to_do_is_nothing() -> None:
    assert flow.together() == []
