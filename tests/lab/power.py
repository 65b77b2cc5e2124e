"""Power states: who may start, stop and pause, in which order, and what that does to others.

Runs in the supervisor, on a `Store` and the `Machines`. The rules are qubesd's: `start` acts on
a halted qube only, a net qube comes up before its clients and does not go down under them. The
states are Xen's: a qube that was told to stop is Running until it has gone a good part of the
way, never Halting; it is Halted a moment before its volumes are put away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Protocol

from lab import properties, qubesdb
from lab.api_errors import ApiError, in_use, not_halted, not_paused, not_running, not_started
from lab.errors import MachineError
from lab.machines import Boot
from lab.plumbing import Log
from lab.store import Qube, Store


class Storage(Protocol):
    """The part of `Machines` that power states need."""

    def boot(self, name: str, boot: Boot) -> None:
        """Start a machine; raise MachineError."""

    def shutdown(self, name: str) -> None:
        """Stop a machine in order."""

    def kill(self, name: str) -> None:
        """Stop a machine at once."""

    def pause(self, name: str) -> None:
        """Stop its processes where they are."""

    def unpause(self, name: str) -> None:
        """Let them go on."""

    def remove(self, name: str) -> None:
        """Delete its storage."""

    def settle(self, name: str) -> None:
        """Wait until its volumes are put away, if it has just ended."""


LINGER_SECONDS = 0.2


class Power:
    """Starts and stops the qubes of one store. Methods may be called from any thread."""

    def __init__(self, store: Store, machines: Storage, log: Log) -> None:
        """Begin with every qube but dom0 halted."""
        self.store = store
        self.machines = machines
        self.log = log
        self.linger = LINGER_SECONDS
        self._starting: dict[str, threading.Lock] = {}
        self._stopping: dict[str, threading.Event] = {}

    def _lock(self, qube: Qube) -> threading.Lock:
        with self.store.lock:
            return self._starting.setdefault(qube.uuid, threading.Lock())

    def start(self, qube: Qube) -> None:
        """Start a halted qube, its net qubes first; do nothing in any other state."""
        if qube.klass == "AdminVM":
            raise not_halted(qube.name, "dom0 is never started")
        with self._lock(qube):
            self.store.get(qube.name)
            if not qube.is_halted():
                return
            self.machines.settle(qube.name)
            reason = qube.features.get("prohibit-start", "")
            if reason:
                raise ApiError("QubesException", f"{qube.name} must not start: {reason}")
            try:
                self._boot(qube)
            except ApiError:
                self._forget_disposable(qube)
                raise

    def _boot(self, qube: Qube) -> None:
        template = self.store.get(qube.template) if qube.template else None
        if qube.klass == "DispVM" and template is not None:
            if not properties.get(self.store, template, "template_for_dispvms"):
                raise ApiError("QubesException", f"{template.name} is no disposable template")
        netvm = properties.get(self.store, qube, "netvm")
        if isinstance(netvm, str):
            self.start(self.store.get(netvm))
        self.store.set_state(qube, "Transient")
        try:
            self.machines.boot(qube.name, self._description(qube))
        except MachineError as error:
            self.store.set_state(qube, "Halted")
            raise ApiError("QubesException", f"{qube.name} did not start: {error}") from error
        qube.started = time.time()
        # A qube that was killed while it booted is not brought back to life here.
        with self.store.lock:
            if qube.state == "Transient":
                self.store.set_state(qube, "Running")
        self.log.write(f"started {qube.name}")

    def _description(self, qube: Qube) -> Boot:
        netvm = properties.get(self.store, qube, "netvm")
        disposable = qube.klass == "DispVM" and qube.template is not None
        base = self.store.get(str(qube.template)) if disposable else qube
        return Boot(
            netvm=netvm if isinstance(netvm, str) else None,
            services=qubesdb.services(qube),
            persistence=qubesdb.persistence(qube),
            mac=properties.MAC,
            ip=properties.address(self.store, qube) or "",
            qubesdb=qubesdb.entries(self.store, qube),
            uuid=str(qube.uuid),
            template=base.template,
            clone_of=qube.template if disposable else None,
        )

    def shutdown(self, qube: Qube, force: bool = False, wait: bool = False) -> None:
        """Stop a qube in order; return at once unless `wait` says so."""
        if qube.is_halted():
            raise not_started(qube.name)
        using = [client for client in self._clients(qube) if client.is_running()]
        if using and not force:
            listed = ", ".join(client.name for client in using)
            raise in_use(qube.name, f"{qube.name} is the netvm of running qubes: {listed}")
        if qube.state == "Paused" and not force:
            raise not_running(qube.name)
        stopped = self._shut_down(qube)
        timeout = float(str(properties.get(self.store, qube, "shutdown_timeout")))
        if wait and not stopped.wait(timeout):
            raise ApiError(
                "QubesVMShutdownTimeoutError", f"{qube.name} did not go down in time"
            )

    def _shut_down(self, qube: Qube) -> threading.Event:
        """Begin to stop a qube unless that has begun; return what is set at the end."""
        with self.store.lock:
            if qube.uuid in self._stopping:
                return self._stopping[qube.uuid]
            stopped = self._stopping[qube.uuid] = threading.Event()

        def stop() -> None:
            try:
                if qube.state == "Paused":
                    self.store.set_state(qube, "Dying")
                    self._stop(qube, hard=True)
                    return
                time.sleep(self.linger)
                with self.store.lock:
                    if not qube.is_halted():
                        self.store.set_state(qube, "Transient")
                self._stop(qube, hard=False)
            finally:
                with self.store.lock:
                    del self._stopping[qube.uuid]
                stopped.set()

        threading.Thread(target=stop, daemon=True).start()
        return stopped

    def is_ending(self, qube: Qube) -> bool:
        """Tell whether a qube is off or was told to stop."""
        with self.store.lock:
            return qube.state in ("Dying", "Halted") or qube.uuid in self._stopping

    def _clients(self, qube: Qube) -> list[Qube]:
        if not properties.get(self.store, qube, "provides_network"):
            return []
        return properties.clients(self.store, qube)

    def kill(self, qube: Qube) -> None:
        """Stop a qube at once and return when it is off and put away."""
        if qube.klass == "AdminVM":
            raise ApiError("QubesVMError", "dom0 is never killed")
        if qube.is_halted():
            raise not_started(qube.name)
        self.store.set_state(qube, "Dying")
        self._stop(qube, hard=True)

    def _stop(self, qube: Qube, hard: bool) -> None:
        run = qube.xid
        try:
            if hard:
                self.machines.kill(qube.name)
            else:
                self.machines.shutdown(qube.name)
        except MachineError as error:
            self.log.write(f"stopping {qube.name}: {error}")
        if qube.xid == run:
            self.ended(qube)
        self.put_away(qube)

    def ended(self, qube: Qube) -> None:
        """Note that a machine has ended, whoever ended it."""
        with self.store.lock:
            if not qube.is_halted():
                self.store.set_state(qube, "Halted")
                self.log.write(f"stopped {qube.name}")

    def put_away(self, qube: Qube) -> None:
        """Note that the volumes of an ended machine are put away; a disposable goes for good."""
        if qube.is_halted():
            self._forget_disposable(qube)

    def _forget_disposable(self, qube: Qube) -> None:
        if qube.klass != "DispVM" or not properties.get(self.store, qube, "auto_cleanup"):
            return
        with self.store.lock:
            if self.store.qubes.get(qube.name) is not qube:
                return
            del self.store.qubes[qube.name]
            self.store.save()
        try:
            self.machines.remove(qube.name)
        except MachineError as error:
            self.log.write(f"removing {qube.name}: {error}")

    def pause(self, qube: Qube) -> None:
        """Stop all processes of a qube where they are."""
        self._refuse_dom0(qube)
        if qube.is_halted():
            raise not_running(qube.name)
        if qube.state == "Running":
            self.machines.pause(qube.name)
            self.store.set_state(qube, "Paused")

    def unpause(self, qube: Qube) -> None:
        """Let a paused qube go on."""
        self._refuse_dom0(qube)
        if qube.state != "Paused":
            raise not_paused(qube.name)
        self.machines.unpause(qube.name)
        self.store.set_state(qube, "Running")

    def _refuse_dom0(self, qube: Qube) -> None:
        if qube.klass == "AdminVM":
            raise ApiError("QubesVMError", "dom0 is never paused")

    def stop_all(self, hard: bool = False) -> list[str]:
        """Stop every qube, clients before their net qubes; return what ran, in start order."""
        ran = [qube.name for qube in self._by_depth() if qube.is_running()]
        for name in reversed(ran):
            qube = self.store.qubes.get(name)
            if qube is None or qube.is_halted():
                continue
            if hard or qube.state == "Paused":
                self.kill(qube)
            else:
                self.shutdown(qube, force=True, wait=True)
        return [name for name in ran if name in self.store.qubes]

    def start_all(self, names: Iterable[str]) -> None:
        """Start these qubes again, in the order given."""
        for name in names:
            self.start(self.store.get(name))

    def _by_depth(self) -> list[Qube]:
        def depth(qube: Qube) -> int:
            netvm = properties.get(self.store, qube, "netvm")
            return 1 + depth(self.store.get(netvm)) if isinstance(netvm, str) else 0

        return sorted((qube for qube in self.store if qube.klass != "AdminVM"), key=depth)
