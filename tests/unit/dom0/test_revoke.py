"""qvm-borg-revoke: the key first, the record last, whatever fails in between."""

from collections.abc import Callable

import pytest

from qvm_borg import errors, record
from qvm_borg.tools import backup, enroll, status
from unit.dom0.honest import FINGERPRINT, KEY, Honest, run
from unit.dom0.machine import failure
from unit.dom0.revoking import calls, features, revokes


@pytest.fixture
def alone(ready: Honest) -> Honest:
    """Answer a machine on which `work` is enrolled without escrow, and runs."""
    run(ready)
    ready.published = False
    ready.app.trace.clear()
    return ready


def test_the_key_goes_first_and_dom0s_record_last(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled.app.domains.all["work"].features.own["x-qborg-whole"] = "1"

    assert revokes(enrolled) == 0

    assert calls(enrolled) == [
        "DescribeRecord+qubes-work", "RevokeKeys+qubes-work", "PublishKeys+",
        "RevokeKeys+qubes-work", "SendRecord+qubes-borg-maintenance",
        "DescribeRecord+qubes-borg-maintenance", "RemoveBundle+qubes-work", "DescribeUse+"]
    changing = [line for line in enrolled.app.trace if " x-qborg" in line or " service." in line]
    assert changing == ["set work x-qborg", "unset work service.qborg-client",
                        "unset work x-qborg-whole", "unset work x-qborg"]
    assert {vm.name for vm in enrolled.app.domains.all.values() if vm.state != "Halted"} == {
        "dom0", "sys-firewall"}
    said = capsys.readouterr().out
    assert f"never publishes {FINGERPRINT} again" in said
    assert "kept: zh1@backup.example:repos/qubes-work with its archives\n" in said
    assert "kept: the recovery record in vault" in said and "service.crond stays on" in said
    assert said.endswith("qubes-work: revoked\n")


def test_a_record_that_cannot_be_read_goes_with_the_key(enrolled: Honest) -> None:
    own = enrolled.app.domains.all["work"].features.own
    own.update({"x-qborg": "{}", "x-qborg-lacking": "1"})

    assert revokes(enrolled) == 0

    assert not [name for name in own if name.startswith("x-qborg")]


def test_a_second_time_nothing_is_changed(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    revokes(enrolled)
    enrolled.published = False

    assert revokes(enrolled) == 0

    assert not [line for line in enrolled.app.trace if line.startswith(("set ", "unset "))]
    assert "RemoveBundle+qubes-work" not in calls(enrolled)
    assert "was revoked already; nothing was changed" in capsys.readouterr().out


def test_without_a_vault_the_maintenance_qube_keeps_what_opens_it(
    alone: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert revokes(alone) == 0

    assert "kept: key and passphrase in borg-maintenance" in capsys.readouterr().out
    assert features(alone) == set() and alone.app.domains.all["work"].state == "Running"


FAILS = {
    "vault": ("DescribeRecord", errors.PartialFailure),
    "mark": ("RevokeKeys", errors.ServiceFailed),
    "publish": ("PublishKeys", errors.ServiceFailed),
    "record": ("SendRecord", errors.PartialFailure),
    "bundle": ("RemoveBundle", errors.PartialFailure),
}


@pytest.mark.parametrize(("service", "kind"), FAILS.values(), ids=FAILS)
def test_what_failed_is_made_good_by_the_next_run(
    enrolled: Honest, service: str, kind: type[errors.QvmBorgError]
) -> None:
    enrolled.answers[service] = failure("internal")
    assert revokes(enrolled) == kind.exit_code
    assert "x-qborg" in features(enrolled)
    del enrolled.answers[service]
    enrolled.published = False

    assert revokes(enrolled) == 0

    assert features(enrolled) == set() and not enrolled.bundle


def test_a_qube_that_does_not_start_is_told_and_the_key_is_off(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled.app.domains.all["work"].stuck = True

    assert revokes(enrolled) == errors.PartialFailure.exit_code

    said = capsys.readouterr()
    assert "error: work is halted, not running" in said.err
    assert "the key of qubes-work is revoked, and not all of the rest is done" in said.err
    assert "qubes-work" in enrolled.revoked and "x-qborg" in features(enrolled)
    enrolled.app.domains.all["work"].stuck = False
    enrolled.published = False
    assert revokes(enrolled) == 0 and features(enrolled) == set()


LIES: dict[str, tuple[dict[str, str], type[errors.QvmBorgError]]] = {
    "another-key": ({"fingerprint": "SHA256:" + "x" * 43}, errors.WireError),
    "no-pair": ({"public_key": KEY.replace("A" * 43, "B" * 43)}, errors.WireError),
    "no-base64": ({"public_key": "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 301}, errors.WireError),
    "no-key": ({"fingerprint": "none", "public_key": "none"}, errors.WireError),
    "untried": ({"key": "unasked"}, errors.WireError),
    "still-taken": ({"key": "taken"}, errors.WaitingForServer),
}


@pytest.mark.parametrize(("values", "kind"), LIES.values(), ids=LIES)
def test_as_long_as_the_key_is_not_seen_refused_the_bundle_stays(
    enrolled: Honest, values: dict[str, str], kind: type[errors.QvmBorgError],
    capsys: pytest.CaptureFixture[str],
) -> None:
    enrolled.values["RevokeKeys"] = values

    assert revokes(enrolled) == kind.exit_code

    assert enrolled.bundle and features(enrolled) == {"x-qborg", "service.qborg-client"}
    if "taken" in values.values():
        assert 'restrict-to-repository repos/qubes-work",restrict ssh' in capsys.readouterr().out


ONLY: dict[str, Callable[[Honest], object]] = {
    "vault-lost-it": lambda machine: machine.kept.pop("qubes-work"),
    "vault-has-another": lambda machine: machine.values.update(
        DescribeRecord={"record": "e" * 64, "key": "e" * 64, "damaged": "yes"}),
    "vault-gone": lambda machine: machine.app.domains.all.pop("vault"),
    "vault-never-starts": lambda machine: setattr(machine.app.domains.all["vault"], "stuck", True),
}


@pytest.mark.parametrize("lose", ONLY.values(), ids=ONLY)
def test_the_last_thing_that_opens_a_kept_repository_is_not_removed(
    enrolled: Honest, lose: Callable[[Honest], object], capsys: pytest.CaptureFixture[str]
) -> None:
    lose(enrolled)

    assert revokes(enrolled) == errors.PartialFailure.exit_code

    said = capsys.readouterr()
    assert "the bundle stays in work" in said.err and "kept: the recovery record" not in said.out
    assert enrolled.bundle and "x-qborg" in features(enrolled)
    assert "qubes-work" in enrolled.revoked


# What dom0 has noted of a client that made its key itself: a record made anew has no digests yet
# of what the qube has had for long.
BEGUN = {"nothing": {}, "opened": {"repository": "1" * 64}, "adopted": {"bundle": "3" * 64}}


@pytest.mark.parametrize("digests", BEGUN.values(), ids=BEGUN)
def test_what_an_enrolment_began_stays_whatever_dom0_knows_of_it(
    ready: Honest, digests: dict[str, str]
) -> None:
    vm = ready.app.domains.all["work"]
    begun = record.Record(vm.uuid, record.names.Repository("qubes", "work"), "plan", FINGERPRINT,
                          digests, notes={record.KEYS: record.BY_CLIENT})
    vm.features.own.update({"x-qborg": record.render(begun), "service.qborg-client": "1"})
    ready.made.add("key qubes-work")
    ready.values["RevokeKeys"] = {"secrets": "none"}

    assert revokes(ready) == errors.PartialFailure.exit_code

    assert "RemoveBundle+qubes-work" not in calls(ready) and "x-qborg" in features(ready)


def test_with_the_repository_all_of_it_goes(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled.kept.pop("qubes-work")
    enrolled.fate = "deleted"

    assert revokes(enrolled, "work", "--delete-repository", "--yes") == 0

    assert "zh1@backup.example:repos/qubes-work is deleted" in capsys.readouterr().out
    assert not enrolled.bundle and features(enrolled) == set()


def test_a_deletion_is_confirmed_before_anything_is_done(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    code = revokes(enrolled, "work", "--delete-repository")

    assert code == errors.NotConfirmed.exit_code
    assert enrolled.app.trace == [] and "--yes" in capsys.readouterr().err


def test_a_repository_that_is_kept_after_all_changes_nothing(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled.answers["RevokeKeys"] = failure("repository-kept", "qubes-work is in quarantine")

    code = revokes(enrolled, "work", "--delete-repository", "--yes")

    assert code == errors.RepositoryError.exit_code
    assert "is in quarantine" in capsys.readouterr().err
    assert not [line for line in enrolled.app.trace if line.startswith(("set ", "unset "))]


def test_while_it_is_half_done_nothing_else_is_done_with_the_qube(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled.answers["RemoveBundle"] = failure("locked", "another backup of this qube is running")
    revokes(enrolled)
    enrolled.app.trace.clear()

    assert backup.main(["work"], app=enrolled.app) == errors.NotEnrolled.exit_code
    assert enroll.main(["work"], app=enrolled.app) == errors.EnrolmentRefused.exit_code
    assert status.main([], app=enrolled.app) == errors.InTrouble.exit_code

    assert enrolled.app.trace == []
    assert capsys.readouterr().out.count("run `qvm-borg-revoke work` again") == 1


def test_a_revoked_name_is_enrolled_again_only_when_it_is_free(
    enrolled: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    revokes(enrolled)
    enrolled.values["CheckSetup"] = {"revoked": "qubes-other qubes-work"}
    enrolled.app.trace.clear()

    assert enroll.main(["work"], app=enrolled.app) == errors.EnrolmentRefused.exit_code

    assert "its key was revoked, and its repository is kept" in capsys.readouterr().err
    assert calls(enrolled) == ["CheckSetup+"] and features(enrolled) == set()
