"""The qubes of this machine, through qubesadmin; the only module that imports it.

Runs in dom0. Property reads never go through getattr with a default and nothing is asked of
is_running(): both would take a broken answer for a good one (facts of qubesadmin 4.3).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from uuid import UUID

from qborg_wire.reply import printable
from qborg_wire.row import Role, Service
from qvm_borg.errors import AdminError, QubeUnavailable, SettingsError

try:
    from qubesadmin import Qubes  # type: ignore[import-not-found]
    from qubesadmin.exc import QubesException  # type: ignore[import-not-found]
except ImportError:  # elsewhere than in dom0 a command can still print its help

    class QubesException(Exception):  # type: ignore[no-redef]
        """Stands for qubesadmin's where there is none."""

    Qubes = None

_PASSING = ("Transient", "Halting", "Dying")
_SETTLE = 60.0  # seconds, for a qube that is just starting or stopping
_CREATING = "creating:"  # the role's value while its qube is being made


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn whatever qubesadmin raises into AdminError.

    Its exceptions format their text again, so that a `%` in it ends in TypeError or ValueError.
    """
    try:
        yield
    except (QubesException, AttributeError) as error:
        raise AdminError(f"qubesd: {what}: {printable(str(error), 300)}") from error
    except (TypeError, ValueError, KeyError, AssertionError, OSError) as error:
        raise AdminError(f"qubesd: {what}: no readable answer") from error


class Qube:
    """One qube. Its name and uuid are read once; everything else is asked anew each time."""

    def __init__(self, vm: Any) -> None:
        self._vm = vm
        self.name = str(vm.name)

    def __str__(self) -> str:
        return self.name

    @cached_property
    def uuid(self) -> UUID:
        """Answer what stays the same when the qube is renamed, and differs in every copy."""
        with _asking(f"uuid of {self.name}"):
            return UUID(str(self._vm.uuid))

    def property(self, name: str) -> Any:
        """Answer a property: bool, text or None; another qube or label as its name."""
        with _asking(f"{name} of {self.name}"):
            value = getattr(self._vm, name)
        return value if value is None or isinstance(value, bool) else str(value)

    def feature(self, name: str, inherited: bool = False) -> str | None:
        """Answer a feature of the qube (or, inherited, of its template); None if it has none."""
        with _asking(f"feature {name} of {self.name}"):
            features = self._vm.features
            value = features.check_with_template(name) if inherited else features.get(name)
        return None if value is None else str(value)

    def set_feature(self, name: str, value: str) -> bool:
        """Set a feature; answers whether that changed it."""
        changed = self.feature(name) != value
        if changed:
            with _asking(f"feature {name} of {self.name}"):
                self._vm.features[name] = value
        return changed

    def cut_off(self) -> None:
        """Take its network away."""
        with _asking(f"netvm of {self.name}"):
            self._vm.netvm = None

    def kill(self) -> None:
        """End it at once, whatever it does; raises QubeUnavailable if it stays."""
        if self.state() != "Halted":
            with _asking(f"kill of {self.name}"):
                self._vm.kill()
        if self._settled("Running", "Paused", *_PASSING) != "Halted":
            raise QubeUnavailable(f"{self.name} cannot be killed")

    def remove_feature(self, name: str) -> bool:
        """Remove a feature; answers whether it was there."""
        there = self.feature(name) is not None
        if there:
            with _asking(f"feature {name} of {self.name}"):
                del self._vm.features[name]
        return there

    def offers(self, service: Service) -> bool:
        """Answer whether the qube's template has told that it has this service."""
        return bool(self.feature(f"supported-rpc.{service.full_name}", inherited=True))

    def state(self) -> str:
        """Answer the power state: Running is the only one in which services can be called."""
        with _asking(f"power state of {self.name}"):
            return str(self._vm.get_power_state())

    def start(self) -> bool:
        """Make it run; answers whether it was halted before. Raises QubeUnavailable."""
        state = self._settled(*_PASSING)
        if state == "Halted":
            # qubesd starts only a halted qube and calls anything else a success as well.
            with _asking(f"start of {self.name}"):
                self._vm.start()
        if self.state() != "Running":
            raise QubeUnavailable(f"{self.name} is {printable(self.state()).lower()}, not running",
                                  f"bring it to run or to a halt: `qvm-unpause {self.name}`, "
                                  f"`qvm-start {self.name}` or `qvm-shutdown {self.name}`")
        return state == "Halted"

    def stop(self) -> bool:
        """Shut it down, never forced; answers whether it has halted."""
        try:
            with _asking(f"shutdown of {self.name}"):
                self._vm.shutdown()
        except AdminError:  # it has clients of its own by now, or is halted already
            return self.state() == "Halted"
        return self._settled("Running", *_PASSING) == "Halted"

    def _settled(self, *passing: str) -> str:
        deadline = time.monotonic() + _SETTLE
        while (state := self.state()) in passing and time.monotonic() < deadline:
            time.sleep(0.2)
        return state

    def run_service(self, service: str, user: str | None) -> Any:
        """Begin a service in the running qube; answers its Popen, stderr thrown away.

        A stopped qube is not started. The caller has checked every character of `service`.
        """
        with open(os.devnull, "wb") as nowhere, _asking(f"{service} in {self.name}"):
            return self._vm.run_service(service, user=user, autostart=False, stderr=nowhere)


class System:
    """The machine as qubesd tells it."""

    def __init__(self, app: Any = None) -> None:
        if app is None and Qubes is None:
            raise AdminError("there is no qubesadmin here", "run this command in dom0")
        with _asking("connection"):
            self._app = Qubes() if app is None else app

    def find(self, name: str) -> Qube:
        """Answer the qube of that name; raises QubeUnavailable if there is none."""
        vm = self._get(name)
        if vm is None:
            raise QubeUnavailable(f"there is no qube named {printable(name, 40)}",
                                  "`qvm-ls` lists them; upper and lower case are different")
        return Qube(vm)

    def _get(self, name: str) -> Any:
        with _asking("list of qubes"):
            return self._app.domains.get(name)

    def qubes(self) -> list[Qube]:
        """Answer every qube but dom0."""
        with _asking("list of qubes"):
            return [Qube(vm) for vm in self._app.domains if vm.klass != "AdminVM"]

    def role(self, role: Role, lost: bool = False) -> Qube | None:
        """Answer the qube in that role, None if dom0 names none; raises unless it may be lost."""
        value = self.find("dom0").feature(f"x-qborg-{role.value}")
        if not value or value.startswith(_CREATING):
            return None
        found = next((qube for qube in self.qubes() if str(qube.uuid) == value), None)
        if found is None and not lost:
            raise SettingsError(
                f"the {role.value} qube is gone", "`qvm-borg-recover --account` makes a new "
                "maintenance qube of the vault's record; or restore what is gone and tell dom0: "
                f"`qvm-features dom0 x-qborg-{role.value} \"$(qvm-prefs NAME uuid)\"`")
        return found

    def template(self, name: str | None) -> Qube:
        """Answer the template of that name, or the default one."""
        with _asking("default template"):
            return self.find(str(self._app.default_template) if name is None else name)

    def disposable_template(self) -> Qube:
        """Answer the default disposable template; raises SettingsError if there is none."""
        with _asking("default disposable template"):
            name = self._app.default_dispvm
        if name is None:
            raise SettingsError("there is no default disposable template",
                                "`qubes-prefs default_dispvm NAME` names one")
        return self.find(str(name))

    def create(self, role: Role, name: str, label: str, template: str, netvm: Qube | None,
               klass: str = "AppVM") -> Qube:
        """Make the qube for a role, or take the one that a killed run of this has made.

        The intention is written first, so no other qube is ever taken for ours.
        """
        dom0, feature = self.find("dom0"), f"x-qborg-{role.value}"
        if self._get(name) is None:
            dom0.set_feature(feature, _CREATING + name)
            with _asking(f"creation of {name}"):
                self._app.add_new_vm(klass, name, label, template)
        elif dom0.feature(feature) != _CREATING + name:
            raise SettingsError(f"a qube named {name} exists and was not made by qubes-borg",
                                "rename that qube; qvm-borg-setup takes another --maintenance NAME")
        if netvm is not None:
            with _asking(f"netvm of {name}"):
                self._get(name).netvm = netvm.name
        return self.find(name)

    def discard(self, role: Role, name: str) -> None:
        """Kill and remove the qube that was made for a role; none of ours: nothing."""
        dom0, feature = self.find("dom0"), f"x-qborg-{role.value}"
        if dom0.feature(feature) != _CREATING + name:
            return
        if self._get(name) is not None:
            self.find(name).kill()
            with _asking(f"removal of {name}"):
                del self._app.domains[name]
        dom0.remove_feature(feature)

    def give_role(self, role: Role, qube: Qube) -> bool:
        """Make a qube the one in that role; answers whether that changed anything."""
        changed = qube.set_feature(f"service.qborg-{role.value}", "1")
        return self.find("dom0").set_feature(f"x-qborg-{role.value}", str(qube.uuid)) or changed


@contextmanager
def running(qube: Qube, tell: Any) -> Iterator[bool]:
    """Have a qube run for the block and put it back as found; yields whether we started it."""
    started = qube.start()
    try:
        yield started
    finally:
        if started and not qube.stop():
            tell(f"{qube.name} was started for this and does not stop; it stays on")
