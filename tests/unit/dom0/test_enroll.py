"""Enrolment on a machine of stand-ins: it converges, refuses without a trace, closes its gate."""

import json
from pathlib import Path

import pytest

from qvm_borg import errors, record
from qvm_borg.enroll import enroll
from unit.dom0.honest import FINGERPRINT, Honest
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
    "call work qborg.ProveRecord+qubes-work",
    "set work x-qborg",
    "shutdown borg-maintenance",
]


def run(machine: Honest, *names: str, dry_run: bool = False) -> list[str]:
    """Enrol; answers what was done, in order."""
    machine.app.trace.clear()
    enroll(machine.session(), names or ["work"], dry_run)
    return list(machine.app.trace)


def changes(machine: Honest) -> list[str]:
    """Answer what was done less what puts a qube back and asks only."""
    asking = ("CheckSetup", "DescribeClient")
    return [line for line in machine.app.trace
            if line.startswith("set ") or (line.startswith("call ") and not any(
                name in line for name in asking))]


def test_a_whole_enrolment_takes_every_step_in_order(ready: Honest) -> None:
    assert run(ready) == FULL

    vm = ready.app.domains.all["work"]
    found = record.parse(vm.features.own["x-qborg"])
    assert found is not None
    assert (found.uuid, str(found.repository), found.step) == (vm.uuid, "qubes-work", "prove")
    assert found.fingerprint == FINGERPRINT
    assert found.digests == {"key": "2" * 64, "bundle": "b" * 64, "proof": "f" * 64}
    assert found.notes == {
        "escrow": "none, by choice", "archive": "work-2026-01-31T10:17:00",
        "proved": "in the client, with an empty borg base directory"}
    assert set(found.times) == {"backup", "proved", "enrolled"}


def test_the_gate_holds_one_line_and_only_while_the_bundle_is_sent(ready: Honest) -> None:
    run(ready)

    ids = [ready.app.domains.all[name].uuid for name in ("borg-maintenance", "work")]
    assert ready.gates == [
        f"qborg.InstallBundle +qubes-work uuid:{ids[0]} uuid:{ids[1]} allow autostart=no notify=no\n"
    ]
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
    "ProveRecord",
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


def refusals() -> list[object]:
    """Answer what is wrong with a qube, as an attribute or feature, and what that raises."""
    return [
        pytest.param({"klass": "AdminVM"}, {}, errors.EnrolmentRefused, "dom0", id="dom0"),
        pytest.param({"klass": "TemplateVM"}, {}, errors.EnrolmentRefused, "template", id="tpl"),
        pytest.param({"klass": "DispVM"}, {}, errors.EnrolmentRefused, "disposable", id="disp"),
        pytest.param({"klass": "RemoteVM"}, {}, errors.EnrolmentRefused, "disposable", id="class"),
        pytest.param({"template_for_dispvms": True}, {}, errors.EnrolmentRefused,
                     "disposable template", id="disposable template"),
        pytest.param({"netvm": None}, {}, errors.EnrolmentRefused, "no netvm", id="no netvm"),
        pytest.param({}, {"service.custom-persist": "1"}, errors.EnrolmentRefused,
                     "custom-persist", id="custom-persist"),
        pytest.param({}, {"supported-rpc.qborg.InstallBundle": ""}, errors.TemplateError,
                     "does not offer", id="template without services"),
    ]


@pytest.mark.parametrize(("traits", "features", "kind", "words"), refusals())
def test_a_qube_that_cannot_be_enrolled_is_refused_without_a_trace(
    ready: Honest, traits: dict[str, object], features: dict[str, str],
    kind: type[errors.QvmBorgError], words: str,
) -> None:
    vm = ready.app.domains.all["work"]
    vars(vm).update(traits)
    vm.features.own.update(features)

    with pytest.raises(kind, match=words) as caught:
        run(ready)

    assert caught.value.hint and "NAME" not in caught.value.hint
    assert ready.app.trace == []


def test_the_maintenance_qube_is_not_enrolled(ready: Honest) -> None:
    with pytest.raises(errors.EnrolmentRefused, match="role"):
        run(ready, "borg-maintenance")


def test_a_copy_of_an_enrolled_qube_is_refused(ready: Honest) -> None:
    run(ready)
    copy = ready.qube("work2")
    copy.features.own.update(ready.app.domains.all["work"].features.own)

    with pytest.raises(errors.EnrolmentRefused, match="copy") as caught:
        run(ready, "work2")

    assert "`qvm-features --unset work2 x-qborg`" in caught.value.hint
    assert ready.app.trace == []


def test_a_renamed_qube_is_not_given_a_second_repository(ready: Honest) -> None:
    run(ready)
    vm = ready.app.domains.all.pop("work")
    vm.name = "office"
    ready.app.domains.all["office"] = vm

    with pytest.raises(errors.EnrolmentRefused, match="another name"):
        run(ready, "office")


@pytest.mark.parametrize("together", [True, False])
def test_names_that_differ_by_case_only_are_refused(ready: Honest, together: bool) -> None:
    ready.qube("Work")
    if not together:
        run(ready)

    with pytest.raises((errors.EnrolmentRefused, errors.PartialFailure)):
        run(ready, "Work", *["work"][:together])

    assert changes(ready) == []


def test_an_unknown_qube_is_refused_and_its_name_filtered(ready: Honest) -> None:
    with pytest.raises(errors.QubeUnavailable, match="no qube named _.2Jx") as caught:
        run(ready, "\x1b[2Jx")

    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(("service", "values", "kind"), [
    ("CheckSetup", {"login": "refused"}, errors.ServerUnreachable),
    ("CheckSetup", {"remote_borg": "none", "borg": "none"}, errors.TemplateError),
    ("CheckSetup", {"host_key": "SHA256:" + "x" * 43}, errors.HostKeyError),
    ("CheckSetup", {"occupied": "qubes-other qubes-work"}, errors.RepositoryError),
    ("DescribeClient", {"server": "unreachable", "host_key": "none"}, errors.ServerUnreachable),
    ("DescribeClient", {"host_key": "SHA256:" + "x" * 43}, errors.HostKeyError),
    ("DescribeClient", {"cron": "missing"}, errors.TemplateError),
    ("DescribeClient", {"borg": "none"}, errors.TemplateError),
    ("DescribeClient", {"borg": "1.1.17"}, errors.TemplateError),
    ("DescribeClient", {"borg": "2.0.0b14"}, errors.TemplateError),
    ("DescribeClient", {"borgmatic": "none"}, errors.TemplateError),
    ("DescribeClient", {"borgmatic": "1.7.9"}, errors.TemplateError),
    ("DescribeClient", {"qube": "vault"}, errors.WireError),
], ids=str)
def test_what_a_preflight_finds_refuses_without_a_change(
    ready: Honest, service: str, values: dict[str, str], kind: type[errors.QvmBorgError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    ready.app.domains.all["work"].state = "Halted"
    ready.values[service] = values

    with pytest.raises(kind):
        run(ready)

    assert changes(ready) == []
    assert {vm.name for vm in ready.app.domains.all.values() if vm.state == "Running"} == {"dom0"}


@pytest.mark.parametrize(("cause", "kind"), [
    ("server-full", errors.ServerFull), ("settings-differ", errors.SettingsError),
    ("server-unreachable", errors.ServerUnreachable), ("host-key-changed", errors.HostKeyError),
])
def test_what_the_maintenance_qube_refuses_ends_the_enrolment(
    ready: Honest, cause: str, kind: type[errors.QvmBorgError]
) -> None:
    ready.answers["CheckSetup"] = failure(cause, "in plain words")

    with pytest.raises(kind, match=r"\(in plain words\)"):
        run(ready)

    assert changes(ready) == []


def test_without_a_set_up_nothing_is_enrolled(machine: Honest) -> None:
    machine.qube("work")

    with pytest.raises(errors.SettingsError, match="set-up"):
        run(machine)


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
    ready.values["ProveRecord"] = {"proof": "e" * 64}

    with pytest.raises(errors.ProofFailed):
        run(ready)

    found = record.parse(ready.app.domains.all["work"].features.own["x-qborg"])
    assert found is not None and found.step == "backup" and "proved" not in found.times


def test_a_bundle_that_the_client_lost_is_delivered_again(ready: Honest) -> None:
    run(ready)
    del ready.bundle["qubes-work"]

    assert any("SendBundle" in line for line in run(ready))


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


def test_a_paused_qube_is_not_called(ready: Honest) -> None:
    ready.app.domains.all["work"].state = "Paused"

    with pytest.raises(errors.QubeUnavailable, match="paused"):
        run(ready)

    assert ready.app.domains.all["work"].state == "Paused"


def test_the_record_is_one_line_of_json(ready: Honest, tmp_path: Path) -> None:
    run(ready)

    text = ready.app.domains.all["work"].features.own["x-qborg"]
    assert text.isascii() and text.isprintable() and len(text) < 1024
    assert {"uuid", "repository", "fingerprint", "step", "digests", "times"} <= set(json.loads(text))
