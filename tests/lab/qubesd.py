"""Stand-in for qubesd: the Admin API on its socket, with the real framing and refusals.

Runs in the supervisor. Differs from the genuine daemon in that a method it does not have gets
the empty answer, events among them, and that every caller on the socket is dom0.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from lab import (
    api_features,
    api_power,
    api_properties,
    api_qubes,
    api_volumes,
    making,
    properties,
    qubesdb,
)
from lab.api_call import Call, Method, System, Volumes
from lab.api_errors import ApiError, Refused
from lab.api_frame import SUCCESS, exception, read_request, split_request
from lab.errors import MachineError
from lab.faults import Call as FaultCall
from lab.faults import Faults
from lab.plumbing import Log, peer_pid, serve
from lab.policy_tokens import Domain, Domains
from lab.power import Power
from lab.store import Qube, Store
from lab.world import World

METHODS: Mapping[str, Method] = {
    **api_qubes.METHODS,
    **api_power.METHODS,
    **api_properties.METHODS,
    **api_features.METHODS,
    **api_volumes.METHODS,
}
# These change nothing that is kept, and are called often.
READ_ONLY = ("List", "Get", "GetAll", "GetDefault", "Info", "ListSnapshots", "CurrentState")


class MachineHost(Volumes, Protocol):
    """`Machines` as qubesd uses it."""

    def run_dir(self, name: str) -> Path:
        """Return the host directory that a machine sees as /run/lab."""


class Qubesd:
    """The daemon and its store. Methods may be called from any thread."""

    def __init__(
        self, machines: MachineHost, store_path: Path, log_path: Path, faults: Faults
    ) -> None:
        """Read the store if it is there; log to a file of its own."""
        self.machines = machines
        self.faults = faults
        self.log = Log(log_path)
        self.store = Store(store_path)
        self.power = Power(self.store, machines, self.log)
        self.system = System(self.store, self.power, machines, self._feature_changed)
        faults.kill_qube = self.kill
        faults.is_running = self._is_running

    def serve(self, listener: socket.socket) -> None:
        """Answer every connection to the listening socket, each in a thread of its own."""
        serve(listener, self._answer)

    def _answer(self, connection: socket.socket) -> None:
        untrusted_request = read_request(connection)
        if untrusted_request is not None:
            connection.sendall(self.respond(untrusted_request, peer_pid(connection)))

    def respond(self, untrusted_request: bytes, pid: int = 0) -> bytes:
        """Return the whole answer to one request, empty where qubesd would just hang up."""
        try:
            method, argument, source, target, payload = split_request(untrusted_request)
        except ValueError:
            self.log.write("framing error")
            return b""
        fault = FaultCall("qubesd", source, target, f"{method}+{argument}", pid)
        verdict = self.faults.before(fault)
        answer = b""
        if verdict.kind == "go":
            answer = self._execute(method, argument, source, target, payload)
            verdict = self.faults.after(fault)
        if verdict.kind == "error":
            return exception(ApiError(verdict.argument or "QubesException", "injected fault"))
        return answer if verdict.kind == "go" else b""

    def _execute(
        self, method: str, argument: str, source: str, target: str, payload: bytes
    ) -> bytes:
        named = f"{method}+{argument} {source} -> {target}"
        try:
            row = METHODS.get(method)
            caller, called = self.store.find(source), self.store.find(target)
            if row is None or caller.klass != "AdminVM":
                raise Refused
            answer = self._run(row, method, Call(self.system, caller, called, argument, payload))
        except Refused:
            self.log.write(f"refused: {named}")
            return b""
        except MachineError as error:
            self.log.write(f"{named}: {error}")
            return exception(ApiError("QubesException", str(error)))
        except OSError as error:
            # A fault of the lab's own; qubesd does not answer on one of its own, either.
            self.log.write(f"unhandled: {named}: {error}")
            return b""
        except ApiError as error:
            self.log.write(f"{named}: {error.kind}: {error}")
            return exception(error)
        return SUCCESS + answer.encode()

    def _run(self, row: Method, method: str, call: Call) -> str:
        if method.rpartition(".")[2] in READ_ONLY or method in api_power.METHODS:
            return row(call)
        with self.store.lock:
            answer = row(call)
            self.store.save()
        return answer

    def _feature_changed(self, qube: Qube, feature: str, value: str | None) -> None:
        if qube.is_running() and qube.klass != "AdminVM":
            qubesdb.change(self.machines.run_dir(qube.name) / "qubesdb", feature, value)

    def create_world(self, world: World) -> None:
        """Make all that is in a world file; nothing is started."""
        self.create_templates(world)
        self.create_qubes(world)

    def create_templates(self, world: World) -> None:
        """Make the templates of a world file in a new store."""
        for template in world.templates:
            own = {"label": template.label}
            made = making.create(self.system, template.name, "TemplateVM", own)
            made.features |= dict(template.features)
        self.store.save()

    def create_qubes(self, world: World) -> None:
        """Make the other qubes, when the templates are as they shall be."""
        for qube in sorted(world.qubes, key=lambda qube: qube.klass == "DispVM"):
            made = making.create(
                self.system,
                qube.name,
                qube.klass,
                {"label": qube.label, "netvm": None},
                template=qube.template,
            )
            for name in ("provides_network", "template_for_dispvms"):
                if getattr(qube, name):
                    made.properties[name] = True
            if qube.klass == "StandaloneVM":
                made.features |= self.store.get(qube.template).features
            made.features |= dict(qube.features)
            made.tags |= set(qube.tags)
        for qube in world.qubes:
            self.store.get(qube.name).properties["netvm"] = qube.netvm
        self._set_defaults(world)
        self.store.save()

    def _set_defaults(self, world: World) -> None:
        chosen = {
            "default_template": [template.name for template in world.templates],
            "default_dispvm": [qube.name for qube in world.qubes if qube.template_for_dispvms],
            "default_netvm": [qube.name for qube in world.qubes if qube.provides_network],
        }
        for name, found in chosen.items():
            if found:
                self.store.settings[name] = found[0]

    def report_template(self, name: str, rpc_names: Iterable[str], services: Iterable[str]) -> None:
        """Set what a template offers, as its own report after an installation does."""
        offered = {f"supported-rpc.{rpc}": "1" for rpc in rpc_names}
        offered |= {f"supported-service.{service}": "1" for service in services}
        with self.store.lock:
            features = self.store.get(name).features
            for old in [key for key in features if key.startswith("supported-")]:
                del features[old]
            features |= offered | {"qrexec": "1", "os": "Linux"}
            self.store.save()

    def clone(self, source: str, name: str) -> None:
        """Make a copy of a halted qube, as clone_vm does."""
        making.clone(self.system, self.store.get(source), name)
        self.store.save()

    def start(self, name: str) -> None:
        """Start a qube; raise ApiError."""
        self.power.start(self.store.get(name))

    def shutdown(self, name: str) -> None:
        """Stop a qube in order and wait, whoever uses it; raise ApiError."""
        self.power.shutdown(self.store.get(name), force=True, wait=True)

    def kill(self, name: str) -> None:
        """Stop a qube at once; nothing if it is off."""
        with suppress(ApiError):
            self.power.kill(self.store.get(name))

    def _is_running(self, name: str) -> bool:
        """Tell whether this is the name of a qube that runs."""
        qube = self.store.qubes.get(name)
        return qube is not None and qube.klass != "AdminVM" and qube.is_running()

    def machine_ended(self, name: str) -> None:
        """Note that a machine ended, whose volumes are still to be put away."""
        with suppress(ApiError):
            self.power.ended(self.store.get(name))

    def machine_died(self, name: str) -> None:
        """Note that a machine that ended by itself is put away."""
        with suppress(ApiError):
            self.power.put_away(self.store.get(name))

    def snapshot(self) -> bytes:
        """Return the store, without power states."""
        return self.store.dumps()

    def restore(self, data: bytes) -> None:
        """Replace the store; the caller has stopped every machine before."""
        self.store.loads(data)
        self.store.save()

    def domains(self) -> Domains:
        """Describe all qubes for the policy engine."""
        return Domains(
            tuple(
                Domain(
                    qube.name,
                    qube.uuid,
                    qube.klass,
                    frozenset(qube.tags),
                    qube.state,
                    bool(properties.get(self.store, qube, "template_for_dispvms")),
                    _name_or_none(properties.get(self.store, qube, "default_dispvm")),
                )
                for qube in self.store
            )
        )

    def info(self) -> list[dict[str, object]]:
        """Describe all qubes for a person."""
        wanted = ("label", "template", "netvm")
        return [
            {"name": qube.name, "class": qube.klass, "state": qube.state, "uuid": qube.uuid}
            | {key: _name_or_none(properties.get(self.store, qube, key)) for key in wanted}
            for qube in self.store
        ]


def _name_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
