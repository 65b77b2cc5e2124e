"""Enrolment on a machine of stand-ins: it converges, refuses without a trace, closes its gate."""

import json
from dataclasses import replace

import pytest

from qborg_wire.names import fingerprint
from qvm_borg import errors, manifest, record, settings
from qvm_borg.enrolment import Asked
from unit.dom0.honest import FINGERPRINT, KEY, SETTINGS, Honest, run
from unit.dom0.machine import failure

FULL = [
    "start borg-maintenance",
    "call borg-maintenance qborg.CheckSetup+",
    "call work qborg.DescribeClient+",
    "set work x-qborg",
    "call borg-maintenance qborg.MakeKeys+qubes-work",
    "set work x-qborg",
    "call borg-maintenance qborg.PublishKeys+",
    "set work x-qborg",
    "call borg-maintenance qborg.InitRepository+qubes-work",
    "set work x-qborg",
    "set work service.qborg-client",
    "call borg-maintenance qborg.SendBundle+qubes-work",
    "call work qborg.DescribeClient+",
    "set work x-qborg",
    "set work service.crond",
    "call work qborg.StartSchedule+ as root",
    "set work x-qborg",
    "call work qborg.RunBackup+qubes-work",
    "set work x-qborg",
    "call work qborg.ProveBundle+qubes-work",
    "set work x-qborg",
    "shutdown borg-maintenance",
]


def test_a_whole_enrolment_takes_every_step_in_order(ready: Honest) -> None:
    assert run(ready) == FULL

    vm = ready.app.domains.all["work"]
    found = record.parse(vm.features.own["x-qborg"])
    assert found is not None
    assert (found.uuid, str(found.repository), found.step) == (vm.uuid, "qubes-work", "prove")
    assert found.fingerprint == FINGERPRINT
    assert found.digests == {"key": "2" * 64, "repository": "1" * 64, "bundle": "b" * 64,
                             "proof": "f" * 64, "manifest": manifest.digest(ready.manifest or "")}
    assert found.notes == {
        "encryption": "repokey-blake2", "escrow": "none, by choice",
        "archive": "work-2026-01-31T10:17:00", "bytes": "34567",
        "proved": "in the client, with an empty borg base directory"}
    assert set(found.times) == {"backup", "proved", "enrolled"}


def test_qube_manager_shows_the_backup_that_dom0_noted(ready: Honest) -> None:
    run(ready)

    vm = ready.app.domains.all["work"]
    found = record.parse(vm.features.own["x-qborg"])
    assert found is not None and vars(vm)["backup_timestamp"] == found.times["backup"]


def test_the_gate_holds_one_line_and_only_while_the_bundle_is_sent(ready: Honest) -> None:
    run(ready)

    ids = [ready.app.domains.all[name].uuid for name in ("borg-maintenance", "work")]
    assert ready.gates == [
        f"qborg.InstallBundle +qubes-work uuid:{ids[0]} uuid:{ids[1]} "
        "allow autostart=no notify=no\n"]
    assert not list(ready.policy.iterdir())


def test_a_second_enrolment_changes_nothing_and_says_so(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    run(ready)
    ready.gates.clear()

    trace = run(ready)

    assert not [line for line in trace if line.startswith("set ")]
    assert not [line for line in trace if "SendBundle" in line or "RunBackup" in line]
    assert not ready.gates
    assert "work: was enrolled already; nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("service", [
    "MakeKeys", "PublishKeys", "InitRepository", "SendBundle", "StartSchedule", "RunBackup",
    "ProveBundle",
])
def test_a_failed_step_is_made_good_by_the_next_run(ready: Honest, service: str) -> None:
    ready.answers[service] = [["read"], ["exit", 255]]
    with pytest.raises(errors.QubeUnavailable):
        run(ready)
    assert not list(ready.policy.iterdir())
    assert ready.app.domains.all["borg-maintenance"].state == "Halted"
    del ready.answers[service]

    run(ready)

    found = record.parse(ready.app.domains.all["work"].features.own["x-qborg"])
    assert found is not None and found.step == "prove" and "proved" in found.times
    assert not [line for line in run(ready) if line.startswith("set ")]


OTHER_KEY = KEY.replace("A" * 43, "B" * 43)
# What the maintenance qube says of a key, after an enrolment that noted another.
KEYS = {
    "fingerprint-of-another": {"fingerprint": fingerprint(OTHER_KEY)},
    "key-of-another": {"public_key": OTHER_KEY},
    "no-base64": {"public_key": "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 301},
    "another-than-noted": {"public_key": OTHER_KEY, "fingerprint": fingerprint(OTHER_KEY)},
}


@pytest.mark.parametrize("lies", KEYS.values(), ids=KEYS)
def test_a_key_that_is_not_the_one_told_or_noted_is_not_published(
    ready: Honest, lies: dict[str, str]
) -> None:
    run(ready)
    ready.values["MakeKeys"] = lies

    with pytest.raises(errors.WireError, match="another key"):
        run(ready)

    assert ready.app.trace[-1] == "shutdown borg-maintenance"
    assert not [line for line in ready.app.trace if "PublishKeys" in line]


def test_a_key_made_anew_is_noted(ready: Honest) -> None:
    run(ready)
    ready.values["MakeKeys"] = {
        "public_key": OTHER_KEY, "fingerprint": fingerprint(OTHER_KEY), "created": "yes"}

    run(ready)

    found = record.parse(ready.app.domains.all["work"].features.own["x-qborg"])
    assert found is not None and found.fingerprint == fingerprint(OTHER_KEY)


def test_a_halted_qube_is_started_once_and_halted_again(ready: Honest) -> None:
    ready.app.domains.all["work"].state = "Halted"

    trace = run(ready)

    assert [line for line in trace if line.endswith(" work")] == ["start work", "shutdown work"]


def test_a_dry_run_starts_and_changes_nothing(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.app.domains.all["work"].state = "Halted"

    assert run(ready, dry_run=True) == []

    out = capsys.readouterr().out
    for place in ("dom0:", "work:", "zh1@backup.example:", "borg-maintenance:"):
        assert f"\n  {place}" in out
    assert "started for it" in out


def test_the_policy_daemons_delay_is_waited_for(ready: Honest) -> None:
    refused = failure("delivery-failed", "refused by policy")
    calls: list[str] = []

    def late(vm: object, service: str, argument: str) -> object:
        calls.append(service)
        return refused if calls.count("SendBundle") in (1, 2) and service == "SendBundle" \
            else honest(vm, service, argument)

    honest = ready.app.handler
    ready.app.handler = late  # type: ignore[assignment]

    run(ready)

    assert calls.count("SendBundle") == 3


def test_a_delivery_that_stays_refused_ends_and_the_gate_is_closed(ready: Honest) -> None:
    ready.answers["SendBundle"] = failure("delivery-failed", "refused by policy")

    with pytest.raises(errors.DeliveryRefused):
        run(ready)

    assert not list(ready.policy.iterdir())


def test_a_bundle_that_arrives_otherwise_is_noticed(ready: Honest) -> None:
    ready.values["SendBundle"] = {"bundle": "c" * 64}

    with pytest.raises(errors.WireError):
        run(ready)


def test_a_proof_that_differs_is_noticed(ready: Honest) -> None:
    ready.values["ProveBundle"] = {"proof": "e" * 64}

    with pytest.raises(errors.ProofFailed):
        run(ready)

    found = record.parse(ready.app.domains.all["work"].features.own["x-qborg"])
    assert found is not None and found.step == "backup" and "proved" not in found.times


def test_a_bundle_that_the_client_lost_is_delivered_again(ready: Honest) -> None:
    run(ready)
    del ready.bundle["qubes-work"]

    assert any("SendBundle" in line for line in run(ready))


def test_settings_that_a_person_corrected_are_delivered(ready: Honest) -> None:
    run(ready)
    settings.store(replace(SETTINGS, remote_borg="borg12"))

    assert any("SendBundle" in line for line in run(ready))
    assert not any("SendBundle" in line for line in run(ready))


def test_a_lost_record_is_written_again_without_new_keys(ready: Honest) -> None:
    run(ready)
    del ready.app.domains.all["work"].features.own["x-qborg"]

    run(ready)

    found = record.parse(ready.app.domains.all["work"].features.own["x-qborg"])
    assert found is not None and found.step == "prove"


def test_several_qubes_are_published_once_and_one_failure_stops_no_other(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.qube("personal", "Halted")
    ready.qube("lost").netvm = None

    with pytest.raises(errors.PartialFailure, match="1 of 3 qubes were not enrolled: lost"):
        run(ready, "work", "lost", "personal")

    trace = ready.app.trace
    assert sum("PublishKeys" in line for line in trace) == 1
    assert trace.index("call borg-maintenance qborg.PublishKeys+") > trace.index(
        "call borg-maintenance qborg.MakeKeys+qubes-personal")
    assert ready.app.domains.all["personal"].state == "Halted"
    printed = capsys.readouterr()
    assert "error: lost: has no netvm" in printed.err
    assert "work: enrolled as qubes-work" in printed.out
    assert "personal: enrolled as qubes-personal" in printed.out


def test_a_gate_that_cannot_be_opened_is_an_error_with_a_hint(ready: Honest) -> None:
    ready.policy.rmdir()

    with pytest.raises(errors.GateError, match="No such file"):
        run(ready)


def test_the_record_is_one_line_of_json(ready: Honest) -> None:
    run(ready)

    text = ready.app.domains.all["work"].features.own["x-qborg"]
    assert text.isascii() and text.isprintable() and len(text) < 1024
    assert set(json.loads(text)) == {
        "uuid", "repository", "fingerprint", "step", "digests", "times", "notes"}


@pytest.mark.parametrize("where", ["0" * 64, "none"])
def test_a_bundle_that_leads_elsewhere_is_noticed(ready: Honest, where: str) -> None:
    ready.values["DescribeClient"] = {"endpoint": where}

    with pytest.raises(errors.WireError, match="leads to another server"):
        run(ready)

    assert not any("StartSchedule" in line for line in ready.app.trace)


def test_imported_secrets_are_noted_and_told_each_time(
    ready: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.values["MakeKeys"] = {"origin": "imported", "quota": "50G"}
    run(ready)
    ready.values["MakeKeys"] = {"origin": "made"}  # a liar cannot take the note away
    run(ready)

    said = capsys.readouterr().out
    assert said.count("count as leaked until they are rotated") == 2 and "quota 50G" in said


def test_what_is_asked_for_by_default_is_nothing_new() -> None:
    assert Asked() == Asked("keep", "none", False, ())
