"""The qubes of this machine, through qubesadmin; the only module that imports it.

Runs in dom0. Property reads never go through getattr with a default and nothing is asked of
is_running(): both would take a broken answer for a good one (facts of qubesadmin 4.3).
"""

import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from qborg_wire.reply import printable
from qborg_wire.row import Role, Service
from qvm_borg.errors import AdminError, QubeUnavailable
from qvm_borg.telling import refusal

try:
    from qubesadmin import Qubes  # type: ignore[import-not-found]
    from qubesadmin.exc import QubesException  # type: ignore[import-not-found]
except ImportError:  # elsewhere than in dom0 a command can still print its help
    Qubes, QubesException = None, AdminError

_PASSING = ("Transient", "Halting", "Dying")
_SETTLE = 60.0  # seconds, for a qube that is just starting or stopping
_CREATING = "creating:"  # the role's value while its qube is being made
_T = TypeVar("_T")


def _ask(what: str, asked: Callable[[], _T]) -> _T:
    """Answer what is asked of qubesadmin; whatever it raises becomes AdminError.

    Its exceptions format their text again, so that a `%` in it ends in TypeError or ValueError.
    """
    try:
        return asked()
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
        return _ask(f"uuid of {self.name}", lambda: UUID(str(self._vm.uuid)))

    def property(self, name: str) -> Any:
        """Answer a property: bool, text or None; another qube or label as its name."""
        value = _ask(f"{name} of {self.name}", lambda: getattr(self._vm, name))
        return value if value is None or isinstance(value, bool) else str(value)

    def feature(self, name: str, inherited: bool = False) -> str | None:
        """Answer a feature of the qube (or, inherited, of its template); None if it has none."""
        features = self._vm.features
        read = features.check_with_template if inherited else features.get
        value = _ask(f"feature {name} of {self.name}", lambda: read(name))
        return None if value is None else str(value)

    def set_feature(self, name: str, value: str) -> bool:
        """Set a feature; answers whether that changed it."""
        if changed := self.feature(name) != value:
            _ask(f"feature {name} of {self.name}",
                 lambda: self._vm.features.__setitem__(name, value))
        return changed

    def admin(self, method: str, argument: str = "", value: str | None = None) -> str:
        """Call a method of the Admin API on it, which the library has no other way to."""
        return _ask(f"{method} {argument} of {self.name}", lambda: self._vm.qubesd_call(
            None, f"admin.vm.{method}", argument,
            None if value is None else value.encode("ascii")).decode())

    def kill(self) -> None:
        """End it at once, whatever it does; raises QubeUnavailable if it stays."""
        if self.state() != "Halted":
            _ask(f"kill of {self.name}", self._vm.kill)
        if self._settled("Running", "Paused", *_PASSING) != "Halted":
            raise QubeUnavailable(f"{self.name} cannot be killed")

    def remove_feature(self, name: str) -> bool:
        """Remove a feature; answers whether it was there."""
        if there := self.feature(name) is not None:
            _ask(f"feature {name} of {self.name}", lambda: self._vm.features.__delitem__(name))
        return there

    def offers(self, service: Service) -> bool:
        """Answer whether the qube's template has told that it has this service."""
        return bool(self.feature(f"supported-rpc.{service.full_name}", inherited=True))

    def offering(self, service: Service, otherwise: str) -> "Qube":
        """Answer it; raises that refusal if its template has not told that it has the service."""
        if not self.offers(service):
            raise refusal(otherwise, qube=self)
        return self

    def state(self) -> str:
        """Answer the power state: Running is the only one in which services can be called."""
        return _ask(f"power state of {self.name}", lambda: str(self._vm.get_power_state()))

    def halted(self) -> bool:
        """Answer whether it is off, or just going."""
        return self._settled(*_PASSING) == "Halted"

    def start(self) -> bool:
        """Make it run; answers whether it was halted before. Raises QubeUnavailable."""
        if halted := self.halted():
            # qubesd starts only a halted qube and calls anything else a success as well.
            _ask(f"start of {self.name}", self._vm.start)
        if self.state() != "Running":
            raise refusal("not-running", qube=self.name, state=printable(self.state()).lower())
        return halted

    def stop(self) -> bool:
        """Shut it down, never forced; answers whether it has halted."""
        try:
            _ask(f"shutdown of {self.name}", self._vm.shutdown)
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
        with open(os.devnull, "wb") as nowhere:
            return _ask(f"{service} in {self.name}", lambda: self._vm.run_service(
                service, user=user, autostart=False, stderr=nowhere))


class System:
    """The machine as qubesd tells it."""

    def __init__(self, app: Any = None) -> None:
        if app is None and Qubes is None:
            raise AdminError("there is no qubesadmin here", "run this command in dom0")
        self._app = _ask("connection", Qubes) if app is None else app

    def find(self, name: str) -> Qube:
        """Answer the qube of that name; raises QubeUnavailable if there is none."""
        if (vm := self._get(name)) is None:
            raise refusal("no-qube", name=printable(name, 40))
        return Qube(vm)

    def _get(self, name: str) -> Any:
        return _ask("list of qubes", lambda: self._app.domains.get(name))

    def look_anew(self) -> None:
        """Forget the list of qubes, which may have changed in a long time."""
        _ask("list of qubes", lambda: self._app.domains.clear_cache())

    def qubes(self) -> list[Qube]:
        """Answer every qube but dom0."""
        return _ask("list of qubes", lambda: [
            Qube(vm) for vm in self._app.domains if vm.klass != "AdminVM"])

    def role(self, role: Role, lost: bool = False) -> Qube | None:
        """Answer the qube in that role, None if dom0 names none; raises unless it may be lost."""
        value = self.find("dom0").feature(f"x-qborg-{role.value}")
        if not value or value.startswith(_CREATING):
            return None
        found = next((qube for qube in self.qubes() if qube.property("klass") != "DispVM"
                      and str(qube.uuid) == value), None)  # a disposable may be gone by now
        if found is None and not lost:
            raise refusal("vault-is-gone" if role is Role.VAULT else "maintenance-is-gone")
        return found

    def template(self, name: str | None) -> Qube:
        """Answer the template of that name, or the default one; raises SettingsError."""
        if name is None:
            name = _ask("default template", lambda: str(self._app.default_template))
        if (found := self.find(name)).property("klass") != "TemplateVM":
            raise refusal("no-template", template=found)
        return found

    def disposable_template(self) -> Qube:
        """Answer the default disposable template; raises SettingsError if there is none."""
        if (name := _ask("default disposable template", lambda: self._app.default_dispvm)) is None:
            raise refusal("no-disposable-template")
        return self.find(str(name))

    def create(self, role: Role, name: str, label: str, template: str | None,
               netvm: str | None = None, klass: str = "AppVM") -> Qube:
        """Make the qube for a role, or take the one that a killed run of this has made.

        `netvm`: empty for none, None for the default one.
        The intention is written first, so no other qube is ever taken for ours.
        """
        dom0, feature = self.find("dom0"), f"x-qborg-{role.value}"
        if self._get(name) is None:
            dom0.set_feature(feature, _CREATING + name)
            _ask(f"creation of {name}", lambda: self._app.add_new_vm(klass, name, label, template))
        elif dom0.feature(feature) != _CREATING + name:
            raise refusal("name-is-taken", name=name)
        if netvm is not None:
            _ask(f"netvm of {name}", lambda: setattr(self._get(name), "netvm", netvm or None))
        return self.find(name)

    def discard(self, role: Role, name: str) -> None:
        """Kill and remove the qube that was made for a role; none of ours: nothing."""
        dom0, feature = self.find("dom0"), f"x-qborg-{role.value}"
        if dom0.feature(feature) == _CREATING + name:
            if self._get(name) is not None:
                self.find(name).kill()
                _ask(f"removal of {name}", lambda: self._app.domains.__delitem__(name))
            dom0.remove_feature(feature)

    def give_role(self, role: Role, qube: Qube) -> bool:
        """Make a qube the one in that role; answers whether that changed anything."""
        changed = qube.set_feature(f"service.qborg-{role.value}", "1")
        return self.find("dom0").set_feature(f"x-qborg-{role.value}", str(qube.uuid)) or changed
