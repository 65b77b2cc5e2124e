"""A small machine in place of qubesd: the attributes of qubesadmin that qubes.py uses, no more.

Services run as processes of their own (liar.py); what they answer is up to the test's table.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import IO, Any

from qvm_borg import flow, remote
from unit.dom0.forked import Forked
from unit.dom0.liar import Actions

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
        self.tags: list[str] = []
        self.rules = ["action=accept"]
        self.memory = 400
        self.start_time: object = None
        self.revisions: list[str] = []  # of its private volume
        self.keeps = True  # one of them
        self.size = 2 * 1024**3  # of its private volume
        self.stuck = False

    def qubesd_call(self, dest: str | None, method: str, arg: str, payload: bytes | None) -> bytes:
        """Answer what a manifest is made of; set what it sets. The lab's qubesd knows more."""
        assert dest is None and (payload is None) == (not method.endswith((".Set", ".Resize")))
        if method == "admin.vm.firewall.Set":
            self.rules = (payload or b"").decode().splitlines()
        elif method == "admin.vm.volume.Resize":
            self.size = int(payload or b"")
        elif method == "admin.vm.feature.Set":
            self.features.own[arg] = (payload or b"").decode()
        elif payload is not None:
            setattr(self, arg, payload.decode() or None)
        known = {"label": self.label, "netvm": self.netvm or "", "template": self.template}
        return {
            "admin.vm.property.GetAll": "".join(
                f"{name} default=False type=str {value}\n" for name, value in known.items()),
            "admin.vm.feature.List": "\n".join(self.features.own),
            "admin.vm.tag.List": "\n".join(self.tags),
            "admin.vm.firewall.Get": "".join(f"{rule}\n" for rule in self.rules),
            "admin.vm.property.Set": "", "admin.vm.feature.Set": "", "admin.vm.firewall.Set": "",
            "admin.vm.volume.ListSnapshots": "".join(f"{each}\n" for each in self.revisions),
            "admin.vm.volume.Info": f"pool=p\nsize={self.size}\n", "admin.vm.volume.Resize": "",
        }[method].encode()

    def get_power_state(self) -> str:
        """Answer the power state."""
        return self.state

    def start(self) -> None:
        """Start if Halted; as qubesd, do nothing in any other state."""
        self.app.trace.append(f"start {self.name}")
        if self.state == "Halted" and not self.stuck:
            self._come_up()

    def _come_up(self) -> None:
        """Run, and before it the net qubes that it needs."""
        netvm = self.app.domains.all.get(str(self.netvm))
        if netvm is not None and netvm.state == "Halted":
            netvm._come_up()
        self.state, self.start_time = "Running", next(self.app.starts)

    def shutdown(self) -> None:
        """Halt at once; as qubesd, not under the qubes that it gives network to."""
        if any(each.netvm == self.name and each.state != "Halted" and each.klass != "AdminVM"
               for each in self.app.domains.all.values()):
            raise OSError("in use")
        self.app.trace.append(f"shutdown {self.name}")
        self.state = "Halted"
        self.revisions = [str(next(self.app.starts))] * self.keeps

    def kill(self) -> None:
        """End at once; as qubesd, only what runs."""
        assert self.state != "Halted"
        self.app.trace.append(f"kill {self.name}")
        self.state = "Halted"

    def run_service(
        self, service: str, user: str | None = None, autostart: bool = True,
        stderr: IO[bytes] | None = None,
    ) -> Forked:
        """Run what the machine's handler answers for this call."""
        assert not autostart and self.state == "Running", service
        self.app.trace.append(f"call {self.name} {service}" + (f" as {user}" if user else ""))
        name, _plus, argument = service.partition("+")
        return Forked(self.app.handler(self, name.removeprefix("qborg."), argument), stderr)


class Domains:
    """The collection of qubes."""

    def __init__(self) -> None:
        self.all: dict[str, Vm] = {}

    def get(self, name: str, default: object = None) -> object:
        """Answer a qube by its name."""
        return self.all.get(name, default)

    def clear_cache(self) -> None:
        """Read the list of qubes anew: it is not kept here."""

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
        self.starts = itertools.count(1)
        self.domains = Domains()
        self.default_template: object = "debian-13"
        self.default_dispvm: object = None
        self.add("dom0", "AdminVM")
        self.add("debian-13", "TemplateVM", "Halted")
        firewall = self.add("sys-firewall")
        firewall.netvm, firewall.provides_network = None, True

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


def once(*words: Any) -> dict[str, str]:
    """Make one call of a service, beside no other."""
    return flow.together(remote.calling(*words))[0]
