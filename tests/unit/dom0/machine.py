"""A small machine in place of qubesd: the attributes of qubesadmin that qubes.py uses, no more.

Services run as real processes (liar.py); what they answer is up to the test's table.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

LIAR = Path(__file__).with_name("liar.py")
Actions = list[list[object]]
Handler = Callable[["Vm", str, str], Actions]


def answer(**values: object) -> Actions:
    """Answer the actions of an honest service: these keys in this order."""
    lines = "".join(f"{key}={value}\n" for key, value in values.items())
    return [["read"], ["write", f"nonce=@NONCE@\noutcome=ok\n{lines}"]]


def failure(cause: str, detail: str = "-") -> Actions:
    """Answer the actions of a service that refuses."""
    return [["read"], ["write", f"nonce=@NONCE@\noutcome={cause}\ndetail={detail}\n"]]


class Features:
    """Features of one qube; asking the template is a dictionary of its own."""

    def __init__(self, vm: "Vm") -> None:
        self._vm = vm
        self.own: dict[str, str] = {}
        self.of_template: dict[str, str] = {}

    def get(self, name: str, default: object = None) -> object:
        """Answer the feature."""
        return self.own.get(name, default)

    def check_with_template(self, name: str, default: object = None) -> object:
        """Answer the feature, or the template's."""
        return self.own.get(name, self.of_template.get(name, default))

    def __setitem__(self, name: str, value: object) -> None:
        assert isinstance(value, str) and value.isascii() and value.isprintable()
        self._vm.app.trace.append(f"set {self._vm.name} {name}")
        self.own[name] = value

    def __delitem__(self, name: str) -> None:
        self._vm.app.trace.append(f"unset {self._vm.name} {name}")
        del self.own[name]


class Vm:
    """One qube; properties are plain attributes, and a missing one raises as a real one does."""

    def __init__(self, app: "App", name: str, klass: str, state: str) -> None:
        self.app, self.name, self.klass, self.state = app, name, klass, state
        self.uuid: object = uuid.uuid4()
        self.template_for_dispvms = False
        self.provides_network = False
        self.netvm: object = "sys-firewall"
        self.template: object = "debian-13"
        self.label: object = "blue"
        self.features = Features(self)
        self.stuck = False

    def get_power_state(self) -> str:
        """Answer the power state."""
        return self.state

    def start(self) -> None:
        """Start if Halted; as qubesd, do nothing in any other state."""
        self.app.trace.append(f"start {self.name}")
        if self.state == "Halted" and not self.stuck:
            self.state = "Running"

    def shutdown(self) -> None:
        """Halt at once."""
        self.app.trace.append(f"shutdown {self.name}")
        self.state = "Halted"

    def kill(self) -> None:
        """End at once; as qubesd, only what runs."""
        assert self.state != "Halted"
        self.app.trace.append(f"kill {self.name}")
        self.state = "Halted"

    def run_service(
        self, service: str, user: str | None = None, autostart: bool = True,
        stderr: IO[bytes] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Run what the machine's handler answers for this call."""
        assert not autostart and self.state == "Running", service
        self.app.trace.append(f"call {self.name} {service}" + (f" as {user}" if user else ""))
        name, _plus, argument = service.partition("+")
        actions = self.app.handler(self, name.removeprefix("qborg."), argument)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", LIAR, json.dumps(actions)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)


class Domains:
    """The collection of qubes."""

    def __init__(self) -> None:
        self.all: dict[str, Vm] = {}

    def get(self, name: str, default: object = None) -> object:
        """Answer a qube by its name."""
        return self.all.get(name, default)

    def __delitem__(self, name: str) -> None:
        vm = self.all.pop(name)
        assert vm.state == "Halted"
        vm.app.trace.append(f"remove {name}")

    def __iter__(self) -> Iterator[Vm]:
        return iter([self.all[name] for name in sorted(self.all)])


class App:
    """The machine. `trace` is every change and every call, in order."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.trace: list[str] = []
        self.domains = Domains()
        self.default_template: object = "debian-13"
        self.default_dispvm: object = None
        self.add("dom0", "AdminVM")
        self.add("debian-13", "TemplateVM", "Halted")

    def add(self, name: str, klass: str = "AppVM", state: str = "Running") -> Vm:
        """Make a qube without a trace."""
        vm = self.domains.all[name] = Vm(self, name, klass, state)
        return vm

    def add_new_vm(self, cls: str, name: str, label: str, template: str) -> Vm:
        """Make a qube as qubesadmin does; a disposable only of a template for such."""
        assert cls != "DispVM" or self.domains.all[template].template_for_dispvms
        self.trace.append(f"create {name} {label} {template}")
        vm = self.add(name, cls, "Halted")
        vm.label, vm.template = label, template
        source = self.domains.all[template].features
        vm.features.of_template = {**source.of_template, **source.own}
        return vm
