"""Several calls at once in one thread: each comes to its own end, and none outlives the others."""

from contextlib import closing

import pytest

from qborg_wire.names import Repository
from qborg_wire.reply import Progress
from qvm_borg import errors, remote
from unit.dom0.machine import Actions, answer, failure, once
from unit.dom0.test_remote import BACKUP, GOOD, LONG, QUICK, ROW, Liar, closed

SLOW: Actions = [["read"], ["sleep", 600]]


def _flow(liar: Liar, told: list[Progress] | None = None) -> remote.Flow[dict[str, str]]:
    return remote.calling(liar, LONG, Repository("qubes", "work"), {},  # type: ignore[arg-type]
                          ([] if told is None else told).append)


def test_each_is_answered_whoever_ends_first() -> None:
    drips = [["read"], ["drip", "progress=backup 1 1\n", 5, 0.1], *answer(**BACKUP)[1:]]
    told: list[list[Progress]] = [[], []]

    found = remote.together(_flow(Liar(drips), told[0]), _flow(Liar(answer(**BACKUP)), told[1]))

    assert found == [BACKUP, BACKUP]
    assert [len(each) for each in told] == [5, 0]


def test_one_that_fails_ends_the_others_and_their_processes() -> None:
    slow, bad = Liar(SLOW), Liar(failure("borg-failed"))

    with pytest.raises(errors.BackupFailed):
        remote.together(_flow(slow), _flow(bad))

    assert slow.process.returncode is not None and closed(slow.process.stdout)


def test_one_that_runs_out_of_time_does_so_beside_a_living_one() -> None:
    drips: Actions = [["read"], ["drip", "progress=backup 1 1\n", 600, 0.1]]
    living, quick = Liar(drips), Liar(SLOW)

    with pytest.raises(errors.ServiceTimeout):
        remote.together(_flow(living), remote.calling(
            quick, QUICK, None, {}, print))  # type: ignore[arg-type]

    assert living.process.returncode is not None and quick.process.returncode is not None


def test_a_call_within_another_ones_flow_waits_for_itself_alone() -> None:
    def both() -> remote.Flow[dict[str, str]]:
        inner = once(Liar(GOOD), ROW, None, {}, print)  # type: ignore[arg-type]
        return inner | (yield from _flow(Liar(answer(**BACKUP))))

    assert remote.together(both()) == [{"cron": "running", **BACKUP}]


def test_a_closed_descriptor_may_be_another_ones_by_now() -> None:
    with closing(_flow(Liar(SLOW))) as flow:
        _sources, [sink], _left = next(flow)

        assert flow.send({sink})[1] == []  # all is sent, and the number is free again
        assert flow.send({sink})[1] == []


def test_nothing_to_do_is_nothing() -> None:
    assert remote.together() == []
