"""qvm-borg-status: what is told by neither the qube nor the server alone."""

import hashlib
import json
from dataclasses import replace

import pytest

from qvm_borg import errors, record
from unit.dom0.honest import Honest, evidence
from unit.dom0.looking import CLAIM, DAY, GOOD, NOW, has, look
from unit.dom0.machine import answer


@pytest.mark.parametrize(("volume", "needs"), [("1", False), ("2", True)], ids=["clean", "used"])
def test_one_that_has_nothing_new_is_not_late(halted: Honest, volume: str, needs: bool) -> None:
    halted.app.domains.all["work"].revisions = [volume]
    digest = hashlib.sha256(b"1").hexdigest()
    has(halted, replace(GOOD, times={**GOOD.times, "backup": str(NOW - 9 * DAY)},
                        digests={**GOOD.digests, record.REVISIONS: digest}))

    assert look(halted) == (errors.InTrouble.exit_code if needs else 0)


@pytest.mark.parametrize("paused", [True, False], ids=["paused", "not-paused"])
def test_a_pause_in_dom0_is_told_and_alarms_nobody(
    running: Honest, paused: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    vm, long_ago = running.app.domains.all["work"], str(NOW - 9 * DAY)
    has(running, replace(GOOD, times={**GOOD.times, "backup": long_ago}))
    running.answers["DescribeClient"] = answer(**{**CLAIM, "last_success": long_ago})
    if paused:
        vm.features.own["vm-config.qborg-pause"] = "1"

    assert look(running) == (0 if paused else errors.InTrouble.exit_code)

    assert ("are paused; the last one: 20" in capsys.readouterr().out) is paused


def test_a_halted_qubes_backup_that_the_server_never_got_is_told(running: Honest) -> None:
    vm = running.app.domains.all["work"]
    vm.state, vm.revisions = "Halted", ["1"]
    digest = hashlib.sha256(b"1").hexdigest()
    has(running, replace(GOOD, digests={**GOOD.digests, record.REVISIONS: digest}))
    running.answers["ObserveServer"] = answer(evidence=evidence(time=str(NOW - 9 * DAY)))

    assert look(running, calls=1) == errors.InTrouble.exit_code


def test_a_commit_of_a_run_that_was_cut_is_no_backup(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = str(NOW - 30 * DAY)
    has(running, replace(GOOD, times={**GOOD.times, "backup": long_ago}))
    running.answers["DescribeClient"] = answer(
        **{**CLAIM, "last_success": long_ago, "last_outcome": "connection-failed"})

    assert look(running) == errors.InTrouble.exit_code
    assert "its last run ended with connection-failed" in capsys.readouterr().out


def test_the_calls_are_not_told_among_the_json(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(running, "--json", "-v") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["qubes"] and "qborg.DescribeClient+" in told.err
