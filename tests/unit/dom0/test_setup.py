"""The set-up: goes on where it stopped, asks before it trusts, changes nothing twice."""

import contextlib
import dataclasses

import pytest

from qvm_borg import errors, settings
from unit.dom0.honest import HOST_KEY, KEY, Honest
from unit.dom0.machine import failure
from unit.dom0.setting_up import CONFIRMED, SERVER, run

SETTINGS_BEGUN = settings.Settings(
    "qubes", "0" * 32, "zh1", "backup.example", "22", HOST_KEY, "probe")


def role(machine: Honest) -> str | None:
    """Answer what dom0 says of the maintenance qube."""
    return machine.app.domains.all["dom0"].features.own.get("x-qborg-maintenance")


def test_a_first_run_makes_the_qube_and_the_settings(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine, *CONFIRMED) == [
        "set dom0 x-qborg-maintenance",
        "create borg-maintenance gray debian-13",
        "set borg-maintenance service.qborg-maintenance",
        "set dom0 x-qborg-maintenance",
        "start borg-maintenance",
        "call borg-maintenance qborg.CheckSetup+",
        "call borg-maintenance qborg.CheckSetup+",
        "shutdown borg-maintenance",
    ]

    stored = settings.load()
    assert stored is not None
    assert dataclasses.replace(stored, machine_id="") == settings.Settings(
        "qubes", "", "zh1", "backup.example", "22", HOST_KEY, "borg14")
    assert role(machine) == str(machine.app.domains.all["borg-maintenance"].uuid)
    assert "[4/5] borg       borg14 1.4.0" in capsys.readouterr().out


def test_a_second_run_changes_nothing_and_says_so(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    run(machine, *CONFIRMED)
    before = settings.path().stat()

    trace = run(machine)

    assert not [line for line in trace if line.startswith(("set", "create"))]
    assert settings.path().stat() == before
    assert "was set up already; nothing was changed" in capsys.readouterr().out


def test_the_person_is_asked_about_the_host_key(machine: Honest) -> None:
    run(machine, *SERVER, says=True)

    stored = settings.load()
    assert stored is not None and stored.host_key == HOST_KEY


@pytest.mark.parametrize("says", [None, False])
def test_an_unconfirmed_host_key_is_not_stored(machine: Honest, says: bool | None) -> None:
    with pytest.raises(errors.HostKeyError) as caught:
        run(machine, *SERVER, says=says)

    assert f"--fingerprint {HOST_KEY}" in caught.value.hint
    assert settings.load() is None
    assert machine.app.domains.all["borg-maintenance"].state == "Halted"


def test_another_fingerprint_than_the_given_one_is_refused_even_if_the_person_would_agree(
    machine: Honest
) -> None:
    with pytest.raises(errors.HostKeyError, match="not the fingerprint that was given"):
        run(machine, *SERVER, "--fingerprint", "SHA256:" + "x" * 43, says=True)

    assert settings.load() is None


def test_while_the_server_refuses_the_line_to_add_is_shown(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.values["CheckSetup"] = {"login": "refused", "borg": "none", "remote_borg": "none"}
    with pytest.raises(errors.WaitingForServer):
        run(machine, *CONFIRMED, "--machine", "laptop")
    assert f"\n{KEY} qubes-borg-admin laptop\n" in capsys.readouterr().out
    machine.values.clear()

    run(machine)

    stored = settings.load()
    assert stored is not None and (stored.machine, stored.remote_borg) == ("laptop", "borg14")


def test_as_long_as_the_set_up_has_not_ended_the_computer_can_get_another_name(
    machine: Honest
) -> None:
    machine.answers["CheckSetup"] = failure("machine-taken")
    settings.store(SETTINGS_BEGUN)
    with pytest.raises(errors.SettingsError) as taken:
        run(machine, "--machine", "laptop")
    stored = settings.load()
    assert "--machine OTHER" in taken.value.hint and stored and stored.machine == "laptop"
    del machine.answers["CheckSetup"]

    run(machine)

    assert settings.load() == dataclasses.replace(
        SETTINGS_BEGUN, machine="laptop", remote_borg="borg14")
    with pytest.raises(errors.SettingsError, match="the set-up has machine laptop, not desk"):
        run(machine, "--machine", "desk")


def test_by_a_password_the_key_is_installed_and_the_set_up_goes_on(
    machine: Honest, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.accepts = False

    trace = run(machine, *CONFIRMED, "--password")

    assert trace.count("call borg-maintenance qborg.FirstLogin+") == 1
    said = capsys.readouterr().out
    assert "Type the password of zh1@backup.example in borg-maintenance" in said
    assert KEY not in said and settings.load() is not None


@pytest.mark.parametrize(("args", "says", "logins"), [
    ((), True, 1), ((), False, 0), (("--no-password",), True, 0), (("--password",), False, 1),
    ((), None, 0),
])  # fmt: skip
def test_the_person_decides_about_the_password(
    machine: Honest, args: tuple[str, ...], says: bool | None, logins: int
) -> None:
    machine.accepts = False

    with contextlib.suppress(errors.WaitingForServer):
        run(machine, *CONFIRMED, *args, "--wait", "0", says=says)

    assert machine.app.trace.count("call borg-maintenance qborg.FirstLogin+") == logins


def test_an_accepted_key_needs_no_password(machine: Honest) -> None:
    assert "call borg-maintenance qborg.FirstLogin+" not in run(machine, *CONFIRMED, "--password")


def test_with_wait_the_login_is_awaited_through_a_network_that_is_gone(
    machine: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def later(seconds: float) -> None:
        """Between two looks: gone at the first, there with the line at the second."""
        if seconds < 1:  # of something else
            return
        looks.append(seconds)
        machine.values.clear()
        machine.answers = {"CheckSetup": failure("server-unreachable")} if len(looks) < 2 else {}

    machine.values["CheckSetup"] = {"login": "refused"}
    monkeypatch.setattr("time.sleep", later)

    run(machine, *CONFIRMED, "--wait", "60")

    assert sum("CheckSetup" in line for line in machine.app.trace) == 4
    assert min(looks) >= 10  # sshd counts six seconds against us for each


def test_a_server_without_borg_is_an_error(machine: Honest) -> None:
    machine.values["CheckSetup"] = {"borg": "none", "remote_borg": "none"}

    with pytest.raises(errors.TemplateError, match="no borg"):
        run(machine, *CONFIRMED)


def test_borgs_name_can_be_given_later(machine: Honest) -> None:
    machine.values["CheckSetup"] = {"borg": "none", "remote_borg": "none"}
    with pytest.raises(errors.TemplateError):
        run(machine, *CONFIRMED)
    machine.values["CheckSetup"] = {"remote_borg": "borg-mine"}

    run(machine, "--remote-borg", "borg-mine")

    stored = settings.load()
    assert stored is not None and stored.remote_borg == "borg-mine"


@pytest.mark.parametrize("args", [
    ("--server", "zh2@backup.example"), ("--server", "zh1@other.example"),
    ("--server", "zh1@backup.example:23"), ("--machine", "laptop"),
    ("--fingerprint", "SHA256:" + "x" * 43),
    ("--maintenance", "other"), ("--template", "fedora"), ("--netvm", "sys-vpn"),
    ("--label", "red"),
])
def test_an_option_that_says_otherwise_changes_nothing(
    machine: Honest, args: tuple[str, ...]
) -> None:
    run(machine, *CONFIRMED)
    stored = settings.load()

    with pytest.raises(errors.SettingsError, match="not "):
        run(machine, *args)

    assert settings.load() == stored and machine.app.trace == []


def test_an_option_that_says_the_same_is_no_error(machine: Honest) -> None:
    run(machine, *CONFIRMED)

    run(machine, *CONFIRMED, "--machine", "qubes", "--template", "debian-13", "--label", "gray",
        "--maintenance", "borg-maintenance", "--netvm", "sys-firewall", "--remote-borg", "borg14")


def test_without_a_server_the_first_run_asks_for_one(machine: Honest) -> None:
    with pytest.raises(errors.SettingsError, match="which server"):
        run(machine)

    assert machine.app.trace == []


def test_a_template_without_our_services_is_refused_and_no_qube_is_made(machine: Honest) -> None:
    machine.app.domains.all["debian-13"].features.own.clear()

    with pytest.raises(errors.TemplateError, match="debian-13 does not offer"):
        run(machine, *CONFIRMED)

    assert machine.app.trace == []


def test_a_foreign_qube_of_that_name_is_never_taken(machine: Honest) -> None:
    machine.qube("borg-maintenance")

    with pytest.raises(errors.SettingsError, match="was not made by qubes-borg"):
        run(machine, *CONFIRMED)

    assert machine.app.trace == []


def test_a_run_killed_while_making_the_qube_is_gone_on_with(machine: Honest) -> None:
    machine.qube("borg-maintenance", "Halted")
    machine.app.domains.all["dom0"].features.own["x-qborg-maintenance"] = (
        "creating:borg-maintenance")

    run(machine, *CONFIRMED)

    assert role(machine) == str(machine.app.domains.all["borg-maintenance"].uuid)


def test_a_maintenance_qube_without_network_is_told(machine: Honest) -> None:
    machine.set_up().netvm = None

    with pytest.raises(errors.QubeUnavailable, match="no netvm"):
        run(machine)


def test_netvm_and_names_can_be_chosen(machine: Honest) -> None:
    machine.qube("sys-vpn").provides_network = True

    run(machine, *CONFIRMED, "--netvm", "sys-vpn", "--maintenance", "keeper", "--label", "red")

    vm = machine.app.domains.all["keeper"]
    assert (vm.netvm, vm.label) == ("sys-vpn", "red")


@pytest.mark.parametrize("option", ["--netvm", "--template"])
def test_a_qube_that_cannot_be_that_is_refused_before_a_qube_is_made(
    machine: Honest, option: str
) -> None:
    machine.qube("other")

    with pytest.raises(errors.SettingsError, match="other (is no template|provides no network)"):
        run(machine, *CONFIRMED, option, "other")

    assert machine.app.trace == []


def test_an_unknown_netvm_is_refused_before_a_qube_is_made(machine: Honest) -> None:
    with pytest.raises(errors.QubeUnavailable, match="no qube named sys-vpn"):
        run(machine, *CONFIRMED, "--netvm", "sys-vpn")

    assert machine.app.trace == []
