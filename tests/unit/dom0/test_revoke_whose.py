"""Whose key qvm-borg-revoke revokes: of a qube that is there, gone, renamed, copied, restored."""

import uuid

import pytest

from qborg_wire.names import Repository
from qvm_borg import errors, record
from qvm_borg.tools import enroll
from unit.dom0.honest import Honest
from unit.dom0.machine import Vm
from unit.dom0.revoking import calls, features, revokes


@pytest.mark.parametrize("name", ["work", "qubes-work"])
def test_a_qube_that_is_gone_is_revoked_by_either_name(
    enrolled: Honest, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del enrolled.app.domains.all["work"]

    assert revokes(enrolled, name) == 0

    assert "no qube here has it any more" in capsys.readouterr().out
    assert "qubes-work" in enrolled.revoked


def renamed(machine: Honest) -> Vm:
    """Give work another name, as Qubes does: all else of it stays."""
    vm = machine.app.domains.all.pop("work")
    vm.name = "job"
    machine.app.domains.all["job"] = vm
    return vm


@pytest.mark.parametrize("name", ["job", "qubes-work", "work"])
def test_a_renamed_qube_is_found_by_its_repository(enrolled: Honest, name: str) -> None:
    renamed(enrolled)

    assert revokes(enrolled, name) == 0

    assert "RemoveBundle+qubes-work" in calls(enrolled) and features(enrolled, "job") == set()


def test_what_a_renamed_qube_uses_is_given_to_no_other(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed(enrolled)
    enrolled.qube("work")
    enrolled.app.trace.clear()

    assert enroll.main(["work"], app=enrolled.app) == errors.EnrolmentRefused.exit_code

    assert "in use for another qube, which was renamed (job)" in capsys.readouterr().err
    assert enrolled.app.trace == []


def copied(machine: Honest, name: str) -> Vm:
    """Make a clone of work."""
    vm = machine.qube(name)
    vm.features.own.update(machine.app.domains.all["work"].features.own)
    return vm


def test_a_copy_does_not_revoke_the_originals_key(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(enrolled, "work2")

    assert revokes(enrolled, "work2") == errors.NotEnrolled.exit_code

    assert "`qvm-borg-revoke qubes-work`" in capsys.readouterr().err
    assert enrolled.app.trace == []


def test_copies_are_told_and_left_alone(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(enrolled, "work2")

    assert revokes(enrolled) == 0

    assert "work2 is a copy" in capsys.readouterr().out
    assert features(enrolled, "work2") == {"x-qborg", "service.qborg-client"}


def test_of_a_restored_qube_under_the_old_name_the_repository_is_revoked(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled.app.domains.all["work"].uuid = uuid.uuid4()
    assert revokes(enrolled) == errors.NotEnrolled.exit_code

    assert revokes(enrolled, "qubes-work") == 0

    assert "work is a copy" in capsys.readouterr().out and "work" not in str(calls(enrolled)[-1])


def test_a_qube_whose_record_dom0_has_lost_is_still_emptied(enrolled: Honest) -> None:
    del enrolled.app.domains.all["work"].features.own["x-qborg"]

    assert revokes(enrolled) == 0

    assert not enrolled.bundle and features(enrolled) == set()


UNKNOWN = ["nobody", "qubes-nobody", "other-work", "borg-maintenance"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_was_never_enrolled_is_told(
    enrolled: Honest, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert revokes(enrolled, name) == errors.NotEnrolled.exit_code

    assert "was ever made" in capsys.readouterr().err
    assert not enrolled.revoked and features(enrolled) == {"x-qborg", "service.qborg-client"}


def test_an_enrolment_that_got_no_key_loses_its_record(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    vm = enrolled.qube("personal")
    found = record.Record(uuid.UUID(str(vm.uuid)), Repository("qubes", "personal"), "preflight")
    vm.features.own["x-qborg"] = record.render(found)

    assert revokes(enrolled, "personal") == 0

    assert "no key was ever made" in capsys.readouterr().out
    assert features(enrolled, "personal") == set() and "PublishKeys+" not in calls(enrolled)
