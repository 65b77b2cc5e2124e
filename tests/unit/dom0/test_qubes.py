"""What qubes.py makes of qubesd's answers, the traps of qubesadmin among them."""

import uuid

import pytest

from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import errors
from qvm_borg.qubes import System
from unit.dom0.honest import Honest


@pytest.mark.parametrize("state", ["Paused", "Suspended", "Crashed", "NA"])
def test_what_only_seems_to_run_is_not_started_and_not_used(machine: Honest, state: str) -> None:
    machine.qube("work", state)

    with pytest.raises(errors.QubeUnavailable, match=state.lower()):
        System(machine.app).find("work").start()

    assert machine.app.trace == []


def test_a_start_that_does_nothing_is_noticed(machine: Honest) -> None:
    machine.qube("work", "Halted").stuck = True

    with pytest.raises(errors.QubeUnavailable, match="halted, not running"):
        System(machine.app).find("work").start()


def test_a_qube_is_put_back_as_it_was_found(machine: Honest) -> None:
    machine.qube("on")
    machine.qube("off", "Halted")
    session = machine.session()

    with session.running(*map(session.system.find, ("on", "off"))):
        assert machine.app.trace == ["start off"]

    assert machine.app.trace == ["start off", "shutdown off"]


def test_a_qube_is_put_back_after_a_failure(machine: Honest) -> None:
    machine.qube("off", "Halted")

    session = machine.session()

    with pytest.raises(KeyboardInterrupt), session.running(session.system.find("off")):
        raise KeyboardInterrupt

    assert machine.app.domains.all["off"].state == "Halted"


def test_a_qube_that_will_not_stop_is_told_not_killed(
    machine: Honest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vm, session = machine.qube("off", "Halted"), machine.session()
    monkeypatch.setattr(vm, "shutdown", lambda: (_ for _ in ()).throw(OSError("in use")))

    with session.running(session.system.find("off")):
        pass

    assert capsys.readouterr().out.startswith("off was started for this and stays on: it does not ")


@pytest.mark.parametrize("error", [
    AttributeError("Failed to access 'netvm' property"), TypeError("not enough arguments"),
    ValueError("unsupported format character"), ConnectionResetError(), AssertionError(),
], ids=lambda error: type(error).__name__)
def test_a_broken_answer_is_never_a_value(machine: Honest, error: Exception) -> None:
    vm = machine.qube("work")

    class Broken(type(vm)):  # type: ignore[misc]
        """A qube whose netvm cannot be read."""

        @property
        def netvm(self) -> object:
            """Raise as qubesadmin does."""
            raise error

    vm.__dict__.pop("netvm")
    vm.__class__ = Broken

    with pytest.raises(errors.AdminError, match="netvm of work"):
        System(machine.app).find("work").property("netvm")


def test_a_feature_is_written_only_if_it_differs(machine: Honest) -> None:
    machine.qube("work")
    qube = System(machine.app).find("work")

    assert qube.set_feature("x-a", "1") is True
    assert qube.set_feature("x-a", "1") is False
    assert machine.app.trace == ["set work x-a"]


@pytest.mark.parametrize(("own", "inherited", "offers"), [
    ({}, {}, False), ({}, {"supported-rpc.qborg.InstallBundle": "1"}, True),
    ({"supported-rpc.qborg.InstallBundle": ""}, {"supported-rpc.qborg.InstallBundle": "1"}, False),
])
def test_a_service_is_offered_by_the_template(
    machine: Honest, own: dict[str, str], inherited: dict[str, str], offers: bool
) -> None:
    vm = machine.qube("work")
    vm.features.own, vm.features.of_template = own, inherited

    assert System(machine.app).find("work").offers(SERVICES["InstallBundle"]) is offers


def test_the_role_is_found_by_uuid_whatever_the_qube_is_called(machine: Honest) -> None:
    vm = machine.set_up()
    vm.name = "renamed"
    machine.app.domains.all = {**machine.app.domains.all, "renamed": vm}
    machine.qube("borg-maintenance")

    found = System(machine.app).role(Role.MAINTENANCE)

    assert found is not None and found.name == "renamed"


@pytest.mark.parametrize("value", ["", "creating:borg-maintenance"])
def test_no_role_is_none(machine: Honest, value: str) -> None:
    machine.app.domains.all["dom0"].features.own["x-qborg-maintenance"] = value

    assert System(machine.app).role(Role.MAINTENANCE) is None


def test_a_role_whose_qube_is_gone_is_an_error(machine: Honest) -> None:
    machine.app.domains.all["dom0"].features.own["x-qborg-maintenance"] = str(uuid.uuid4())

    with pytest.raises(errors.SettingsError, match="gone") as caught:
        System(machine.app).role(Role.MAINTENANCE)

    assert "under the name that it had" in caught.value.hint, "else the vault takes no record"


def test_without_qubesadmin_a_command_says_where_to_run_it() -> None:
    with pytest.raises(errors.AdminError) as caught:
        System()

    assert caught.value.hint == "run this command in dom0"
