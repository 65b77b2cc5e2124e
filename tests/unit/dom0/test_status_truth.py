"""qvm-borg-status: what is told by neither the qube nor the server alone."""

import hashlib
import json
from dataclasses import replace

import pytest

from qvm_borg import errors, record
from unit.dom0.honest import Honest, evidence
from unit.dom0.looking import CLAIM, DAY, GOOD, HOUR, NOW, has, look
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
    assert vm.features.own[record.LACKING] == GOOD.times["backup"]  # so that it is no clean one

    running.answers["ObserveServer"] = answer(evidence=evidence(time=str(NOW)))
    running.app.trace.clear()
    assert look(running) == 0 and record.LACKING not in str(running.app.trace)


@pytest.mark.parametrize("role", ["vault", "maintenance"])
def test_a_qube_of_ours_that_is_gone_is_told(
    halted: Honest, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = "00000000-0000-0000-0000-000000000000"
    halted.app.domains.all["dom0"].features.own[f"x-qborg-{role}"] = gone

    assert look(halted) == errors.InTrouble.exit_code
    told = capsys.readouterr().out
    assert f"! the {role} qube is gone" in told and "the server was not asked" not in told
    assert look(halted, "--quiet") == errors.InTrouble.exit_code
    assert f"! the {role} qube is gone" in capsys.readouterr().out


def test_a_disposable_that_goes_meanwhile_is_no_trouble(halted: Honest) -> None:
    halted.vault()
    halted.app.add("a-disposable", "DispVM").uuid = "it tells nothing any more"

    assert look(halted) == 0


def test_a_commit_of_a_run_that_was_cut_is_no_backup(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = str(NOW - 30 * DAY)
    has(running, replace(GOOD, times={**GOOD.times, "backup": long_ago}))
    running.answers["DescribeClient"] = answer(
        **{**CLAIM, "last_success": long_ago, "last_outcome": "connection-failed"})

    assert look(running) == errors.InTrouble.exit_code
    assert "its last run ended with connection-failed" in capsys.readouterr().out


# What dom0 noted of a halted qube's word, days ago; None: nothing. What is told of it, if anything.
NOTED: dict[str, tuple[str | None, str]] = {
    "never-heard": (None, "may be of a run that was cut"),
    "heard-long-ago": (str(NOW - 5 * DAY), "may be of a run that was cut"),
    "heard-lately": (str(NOW - DAY), ""),
    "bent": ("-1", "may be of a run that was cut"),
}


@pytest.mark.parametrize(("noted", "says"), NOTED.values(), ids=NOTED)
def test_a_commit_alone_is_no_backup_of_a_halted_qube(
    running: Honest, noted: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    vm = running.app.domains.all["work"]
    vm.state = "Halted"
    has(running, replace(GOOD, times={**GOOD.times, "backup": str(NOW - 30 * DAY)}))
    if noted is not None:
        vm.features.own[record.WHOLE] = noted

    assert look(running) == (errors.InTrouble.exit_code if says else 0)

    assert says in capsys.readouterr().out
    look(running, "--json")
    (row,) = json.loads(capsys.readouterr().out)["qubes"]
    assert [each["name"] for each in row["troubles"]] == ["unsure"] * bool(says)
    assert vm.features.own.get(record.WHOLE) == noted  # nobody was heard


# What a qube that runs claims, what the server shows, and what dom0 notes of it.
HEARD: dict[str, tuple[int, str, int]] = {
    "of-a-day": (NOW - DAY, str(NOW - HOUR), NOW - DAY),
    "more-than-came": (NOW - HOUR, str(NOW - DAY), NOW - DAY),
    "the-server-shows-none": (NOW - HOUR, "unknown", NOW - HOUR),
    "less-than-dom0-saw": (0, str(NOW - HOUR), NOW - DAY),
}


@pytest.mark.parametrize(("claim", "shown", "noted"), HEARD.values(), ids=HEARD)
def test_what_a_qube_claims_counts_once_it_is_halted(
    running: Honest, claim: int, shown: str, noted: int
) -> None:
    vm = running.app.domains.all["work"]
    running.answers["DescribeClient"] = answer(**{**CLAIM, "last_success": str(claim)})
    running.answers["ObserveServer"] = answer(evidence=evidence(time=shown))

    look(running)

    assert vm.features.own[record.WHOLE] == str(noted)
    has(running, replace(GOOD, times={**GOOD.times, "backup": str(NOW - 30 * DAY)}))
    running.answers["ObserveServer"] = answer(evidence=evidence(time=str(NOW)))
    vm.state = "Halted"
    assert look(running) == 0


def test_a_claim_of_what_is_to_come_counts_until_now_alone(running: Honest) -> None:
    soon = str(NOW + 9 * DAY)
    running.answers["DescribeClient"] = answer(**{**CLAIM, "last_success": soon})
    running.answers["ObserveServer"] = answer(evidence=evidence(time=soon))

    look(running)

    noted = running.app.domains.all["work"].features.own[record.WHOLE]
    assert NOW <= int(noted) < NOW + HOUR


def test_a_claim_that_was_a_lie_is_not_told_for_ever(running: Honest) -> None:
    vm = running.app.domains.all["work"]
    vm.state, vm.features.own[record.WHOLE] = "Halted", str(NOW)
    running.answers["ObserveServer"] = answer(evidence=evidence(time=str(NOW - DAY)))

    assert look(running) == 0


def test_a_pause_in_dom0_is_no_failure_of_the_qube(running: Honest) -> None:
    running.app.domains.all["work"].features.own["vm-config.qborg-pause"] = "1"
    running.answers["DescribeClient"] = answer(**{**CLAIM, "last_outcome": "quota-exceeded"})

    assert look(running) == 0


def test_the_calls_are_not_told_among_the_json(
    running: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(running, "--json", "-v") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["qubes"] and "qborg.DescribeClient+" in told.err
