"""What speaks against an enrolment is told before anything is changed, each with its own words."""

import pytest

from qvm_borg import errors
from unit.dom0.honest import Honest, run
from unit.dom0.machine import failure


def changes(machine: Honest) -> list[str]:
    """Answer what was done less what puts a qube back and what only asks."""
    asking = ("CheckSetup", "DescribeClient")
    return [line for line in machine.app.trace if line.startswith(("set ", "call "))
            and not any(name in line for name in asking)]


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
    assert {vm.name for vm in ready.app.domains.all.values() if vm.state == "Running"} == {
        "dom0", "sys-firewall"}


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


def test_a_paused_qube_is_not_called(ready: Honest) -> None:
    ready.app.domains.all["work"].state = "Paused"

    with pytest.raises(errors.QubeUnavailable, match="paused"):
        run(ready)

    assert ready.app.domains.all["work"].state == "Paused"
