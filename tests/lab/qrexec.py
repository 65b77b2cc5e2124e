"""Stand-in for qrexec: calls between qubes, from dom0 to a qube, and from a qube to dom0.

Runs in the supervisor. Who calls is known by the socket the call came in on: every machine has
one of its own. Differs from the genuine daemons in that socket services, calls from dom0 to
dom0 and RemoteVMs are refused.
"""

from __future__ import annotations

import os
import select
import socket
import string
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab import making, policy, properties, qrexec_frame
from lab.api_errors import ApiError
from lab.errors import MachineError
from lab.faults import Call as FaultCall
from lab.faults import Faults, Verdict
from lab.plumbing import Log, peer_pid, serve
from lab.policy_tokens import ADMIN_NAMES
from lab.qrexec_command import BadCommand, parse_command
from lab.qrexec_run import BROKEN_STATUS, CannotRun, Host, Running, Service, spawn
from lab.qubesd import Qubesd
from lab.store import Qube

CALL_CHARSET = frozenset(string.ascii_letters + string.digits + "+-._")
TARGET_CHARSET = CALL_CHARSET - {"+"} | {"@", ":"}
TARGET_LENGTH = 63
PAUSE_LOOK = 0.1
# The genuine daemon hears of a new file by inotify, up to half a second late.
POLICY_DELAY = 0.3
DOM0_USER = "user"


class Refusal(Exception):
    """The caller is told no, and nothing else."""


@dataclass(frozen=True)
class Caller:
    """Who calls, and the socket to answer on."""

    name: str
    connection: socket.socket

    def send(self, kind: bytes, text: str = "", descriptors: Sequence[int] = ()) -> None:
        """Answer; a caller that is gone does not mind."""
        qrexec_frame.send(self.connection, kind, text.encode(), descriptors)

    def is_gone(self) -> bool:
        """Tell whether the caller hung up."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable)


class Qrexec:
    """The daemons of all machines. Methods may be called from any thread."""

    def __init__(
        self,
        machines: Host,
        qubesd: Qubesd,
        policy_dirs: tuple[Path, Path],
        log_path: Path,
        faults: Faults,
    ) -> None:
        """Take dom0's /etc/qubes/policy.d and /run/qubes/policy.d as this process sees them."""
        self.machines = machines
        self.qubesd = qubesd
        self.policy_dirs = (policy_dirs[1], policy_dirs[0])
        self.log = Log(log_path)
        self.faults = faults
        self.policy_delay = POLICY_DELAY
        self._listeners: dict[str, socket.socket] = {}

    def listen(self, name: str, listener: socket.socket) -> None:
        """Take calls of the machine `name` from a listening SOCK_STREAM socket."""
        self._listeners[name] = listener
        serve(listener, lambda connection: self._handle(Caller(name, connection)))

    def close(self, name: str) -> None:
        """Take no more calls of this machine."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _handle(self, caller: Caller) -> None:
        try:
            kind, *untrusted_fields = qrexec_frame.receive(caller.connection)
            if kind == b"call" and caller.name != "dom0" and len(untrusted_fields) == 3:
                self._from_qube(caller, *untrusted_fields)
            elif kind == b"run" and caller.name == "dom0" and len(untrusted_fields) == 4:
                self._from_dom0(caller, *(os.fsdecode(part) for part in untrusted_fields))
        except (qrexec_frame.BadRequest, Refusal):
            caller.send(qrexec_frame.REFUSED)
        finally:
            self.faults.ended()

    # --- calls that policy decides about ---------------------------------------------------

    def _from_qube(
        self, caller: Caller, untrusted_target: bytes, untrusted_call: bytes,
        untrusted_source: bytes,
    ) -> None:  # fmt: skip
        if untrusted_source or untrusted_call[:1] in (b"", b"+"):
            raise Refusal
        target = sanitise(untrusted_target[:TARGET_LENGTH], TARGET_CHARSET)
        name, _, argument = sanitise(untrusted_call, CALL_CHARSET).partition("+")
        fault = FaultCall(
            "qrexec", caller.name, target, f"{name}+{argument}", peer_pid(caller.connection)
        )
        verdict = self.faults.before(fault)
        if self._is_over(caller, verdict):
            return
        request = policy.Request(name, "+" + argument, caller.name, target)
        noticed = time.time() - self.policy_delay
        decision = policy.decide(self.policy_dirs, request, self.qubesd.domains(), noticed)
        called = f"{name}+{argument}: {caller.name} -> {target}:"
        if not decision.allowed:
            self.log.write(f"{called} denied: {decision.reason}")
            raise Refusal
        self.log.write(f"{called} allowed to {decision.target} by {decision.reason}")
        if decision.target == "dom0":
            kind = "keyword" if target.startswith("@") else "name"
            requested = (kind, target.removeprefix("@"))
            service = Service("dom0", DOM0_USER, caller.name, name, argument, requested)
            self._run(caller, service, fault, verdict)
        else:
            service = Service("", "", caller.name, name, argument)
            self._into_qube(caller, decision, service, fault, verdict)

    def _into_qube(
        self,
        caller: Caller,
        decision: policy.Decision,
        service: Service,
        fault: FaultCall,
        verdict: Verdict,
    ) -> None:
        """Start the target if policy lets us, run the service, and end a disposable after it."""
        disposable = decision.target.startswith("@dispvm:")
        try:
            if disposable:
                template = self.qubesd.store.find(decision.target.removeprefix("@dispvm:"))
                qube = making.disposable(self.qubesd.system, template)
            else:
                qube = self.qubesd.store.find(decision.target)
            if qube.name == caller.name:
                raise Refusal
            if decision.autostart:
                self.qubesd.power.start(qube)
        except (ApiError, MachineError) as error:
            self.log.write(f"{service.full_name}: {decision.target} does not start: {error}")
            raise Refusal from error
        try:
            if not self._wait_unpaused(caller, qube, None) or qube.state != "Running":
                raise Refusal
            user = decision.user or self._default_user(qube)
            ready = Service(qube.name, user, caller.name, service.name, service.argument)
            self._run(caller, ready, fault, verdict)
        finally:
            if disposable:
                self.qubesd.kill(qube.name)

    def _default_user(self, qube: Qube) -> str:
        return str(properties.get(self.qubesd.store, qube, "default_user"))

    # --- calls of dom0, which no policy decides about --------------------------------------

    def _from_dom0(
        self, caller: Caller, target: str, command: str, timeout: str, just_exec: str
    ) -> None:
        try:
            service = parse_command(command)
            name = f"exec:{service.command}" if service.command else service.full_name
            fault = FaultCall("qrexec", "dom0", target, name, peer_pid(caller.connection))
            verdict = self.faults.before(fault)
            if self._is_over(caller, verdict):
                return
            qube = self._reach(caller, target, int(timeout))
        except (BadCommand, ApiError) as error:
            self.log.write(f"dom0 -> {target}: {error}")
            caller.send(qrexec_frame.PROBLEM, f"qrexec-client: {error}")
            return
        user = self._default_user(qube) if service.user == "DEFAULT" else service.user
        ready = Service(
            qube.name,
            user,
            service.source,
            service.name,
            service.argument,
            command=service.command,
        )
        self.log.write(f"dom0 -> {target}: {name} as {user}")
        if just_exec:
            self._just_exec(caller, ready, fault)
        else:
            self._run(caller, ready, fault, verdict)

    def _reach(self, caller: Caller, target: str, timeout: int) -> Qube:
        """Return the running qube; raise BadCommand or ApiError when it cannot be reached."""
        if target in ADMIN_NAMES:
            raise BadCommand("calls from dom0 to dom0 are not in the lab")
        qube = self.qubesd.store.find(target)
        if not self._wait_unpaused(caller, qube, timeout or None):
            raise BadCommand("no answer from the qube in time")
        if qube.state != "Running":
            raise BadCommand(f"connect qrexec.{target}: No such file or directory")
        return qube

    def _just_exec(self, caller: Caller, service: Service, fault: FaultCall) -> None:
        status = 0
        with open(os.devnull, "r+b", buffering=0) as nothing:
            number = nothing.fileno()
            try:
                process = spawn(self.machines, service, (number, number, number))
                threading.Thread(target=process.wait, daemon=True).start()
            except CannotRun as error:
                status = error.status
        self._finish(caller, fault, str(status))

    # --- both -------------------------------------------------------------------------------

    def _wait_unpaused(self, caller: Caller, qube: Qube, limit: int | None) -> bool:
        """Wait while the qube is paused; False when time is up or the caller has gone."""
        deadline = None if limit is None else time.monotonic() + limit
        changed = self.qubesd.store.changed
        with changed:
            while qube.state == "Paused":
                if caller.is_gone() or (deadline is not None and time.monotonic() > deadline):
                    return False
                changed.wait(PAUSE_LOOK)
        return True

    def _run(self, caller: Caller, service: Service, fault: FaultCall, verdict: Verdict) -> None:
        def on_cut() -> None:
            caller.send(qrexec_frame.CLOSED, "the qube broke the connection off")

        try:
            running = Running(self.machines, service, self.log, verdict, on_cut)
        except CannotRun as error:
            self.log.write(f"{service.machine}: {service.full_name}: {error}")
            self._finish_unrun(caller, fault, error.status)
            return
        except MachineError as error:
            self.log.write(f"{service.machine}: {service.full_name}: {error}")
            on_cut()
            return
        fault.kill_service = running.kill
        caller.send(qrexec_frame.ACCEPTED, "", running.descriptors)
        qrexec_frame.close_all(running.descriptors)
        status = running.wait()
        if self._broke(service, status):
            on_cut()
        else:
            self._finish(caller, fault, str(status))

    def _finish_unrun(self, caller: Caller, fault: FaultCall, status: int) -> None:
        """Accept the call with descriptors that are at their end, as the genuine agent does."""
        with open(os.devnull, "r+b", buffering=0) as nothing:
            caller.send(qrexec_frame.ACCEPTED, "", [nothing.fileno()] * 3)
        self._finish(caller, fault, str(status))

    def _broke(self, service: Service, status: int) -> bool:
        """Tell whether the service ended because its machine did."""
        if service.in_dom0:
            return False
        qube = self.qubesd.store.qubes.get(service.machine)
        stopped = qube is None or self.qubesd.power.is_ending(qube)
        return stopped or (status == BROKEN_STATUS and not self.machines.alive(service.machine))

    def _finish(self, caller: Caller, fault: FaultCall, status: str) -> None:
        if not self._is_over(caller, self.faults.after(fault)):
            caller.send(qrexec_frame.EXITED, status)

    def _is_over(self, caller: Caller, verdict: Verdict) -> bool:
        """Answer as a fault wants it; tell whether that was the end of the call."""
        status = verdict.argument or str(BROKEN_STATUS)
        endings: dict[str, Callable[[], None]] = {
            "drop": lambda: None,
            "refuse": lambda: caller.send(qrexec_frame.REFUSED),
            "error": lambda: caller.send(qrexec_frame.EXITED, status),
        }
        if verdict.kind in endings:
            endings[verdict.kind]()
        return verdict.kind in endings


def sanitise(untrusted_name: bytes, allowed: frozenset[str]) -> str:
    """Return the name with every byte that is not allowed replaced by `_`."""
    return "".join(char if char in allowed else "_" for char in untrusted_name.decode("latin-1"))
