"""Faults at the boundaries the lab owns, and the trace of every call that crossed them.

Runs in the supervisor. It knows calls by their name only; it must not know what a call does.

A call is named as it is on the wire, METHOD+ARGUMENT. Before qubesd or qrexec acts on a call it
asks `Faults.before`, and when the call is done, but not yet answered, `Faults.after`. What is due
`amid` a call is done by a timer, if the call is not over by then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lab.fault_rules import Rule


@dataclass(frozen=True)
class TraceEntry:
    """One call seen. `nth` counts calls with the same where, source, target and name, from 1.

    `running`: its target was up when it began. `within`: the qrexec call that was open then,
    begun last. `seconds`: how long it took, 0 if it is not over or was broken off. `hit`: a rule
    has done something to it.
    """

    where: str
    source: str
    target: str
    name: str
    nth: int
    running: bool = False
    within: str = ""
    seconds: float = 0.0
    hit: bool = False

    def rule(self, when: str, action: str) -> Rule:
        """Return the rule that hits this very call in a second, equal run."""
        return Rule(
            self.where, self.name, self.nth, when, action, source=self.source, target=self.target
        )

    def to_json(self) -> dict[str, object]:
        """Return the entry as plain data for the control socket."""
        return asdict(self)


@dataclass
class Call:
    """One call on its way; `pid` is its caller as seen from here, 0 when there is none.

    `kill_service` is what kills the process that serves it, once there is one.
    """

    where: str
    source: str
    target: str
    name: str
    pid: int = 0
    due: list[Rule] = field(default_factory=list)
    kill_service: Callable[[], None] | None = None
    number: int = -1  # of its entry in the trace
    begun: float = 0.0
    over: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the boundary has to do: `go`, `drop` (no answer), `refuse`, `error` or `cut`.

    `kill`: kill the service as it begins; `withhold`: as it ends, and its reply is lost.
    """

    kind: str = "go"
    argument: str = ""


GO = Verdict()


class Faults:
    """The rules now in force and the trace. All methods may be called from any thread."""

    def __init__(self, kill_qube: Callable[[str], None] | None = None) -> None:
        """Take the function that kills a qube by name, for the action of that name."""
        self.kill_qube = kill_qube
        self.kill_sshd: Callable[[], None] = lambda: None
        self.is_running: Callable[[str], bool] = lambda name: False
        self._lock = threading.Lock()
        self._rules: list[tuple[Rule, int]] = []
        self._number = 0  # of the next call; never used twice
        self._trace: dict[int, TraceEntry] = {}
        self._seen: Counter[tuple[str, str, str, str]] = Counter()
        self._open: dict[int, Call] = {}  # by the thread that serves it

    def add(self, rule: Rule) -> None:
        """Put one more rule in force; it counts calls from now on."""
        with self._lock:
            self._rules.append((rule, 0))

    def clear(self) -> None:
        """Drop all rules and the trace."""
        with self._lock:
            self._rules.clear()
            self._trace.clear()
            self._seen.clear()

    def trace(self) -> tuple[TraceEntry, ...]:
        """Return all calls seen since the last `clear`, oldest first."""
        with self._lock:
            return tuple(self._trace.values())

    def before(self, call: Call) -> Verdict:
        """Note the call, apply what is due before it, and remember what is due after it."""
        with self._lock:
            self._note(call)
            counted = []
            for rule, seen in self._rules:
                if rule.matches(call.where, call.source, call.target, call.name):
                    seen += not rule.ended
                    if rule.n in (0, seen + rule.ended):
                        call.due.append(rule)
                counted.append((rule, seen))
            self._rules = counted
        for rule in call.due:
            if rule.when == "amid":
                timer = threading.Timer(rule.seconds, self._amid, (rule, call))
                timer.daemon = True
                timer.start()
        return self._apply(call, "before")

    def after(self, call: Call) -> Verdict:
        """Apply what is due once the call is done and before its caller hears of it."""
        with self._lock:
            call.over = True
            self._rewrite(call, seconds=time.monotonic() - call.begun)
            self._rules = [
                (rule, seen + (rule.ended and rule.matches(
                    call.where, call.source, call.target, call.name)))
                for rule, seen in self._rules]
        return self._apply(call, "after")

    def ended(self) -> None:
        """Note that the qrexec call of this thread is over, however it ended."""
        with self._lock:
            call = self._open.pop(threading.get_ident(), None)
            if call is not None:
                call.over = True

    def _amid(self, rule: Rule, call: Call) -> None:
        if not call.over:
            self._hit(rule, call)

    def _note(self, call: Call) -> None:
        key = (call.where, call.source, call.target, call.name)
        self._seen[key] += 1
        within = list(self._open.values())[-1].name if self._open else ""
        call.number, self._number = self._number, self._number + 1
        call.begun = time.monotonic()
        self._trace[call.number] = TraceEntry(
            *key, self._seen[key], self.is_running(call.target), within)
        if call.where == "qrexec":
            self._open[threading.get_ident()] = call

    def _rewrite(self, call: Call, **changes: Any) -> None:
        """Change what the trace says of a call, if that is still there; the lock is held."""
        if call.number in self._trace:
            self._trace[call.number] = replace(self._trace[call.number], **changes)

    def _hit(self, rule: Rule, call: Call) -> Verdict:
        with self._lock:
            self._rewrite(call, hit=True)
        return self._act(rule, call)

    def _tool_of(self, call: Call) -> Call:
        """Return the call of dom0 for which this one is made; itself if it is dom0's."""
        with self._lock:
            callers = [other for other in self._open.values() if other.source == "dom0"]
        return call if call.source == "dom0" or not callers else callers[-1]

    def _apply(self, call: Call, when: str) -> Verdict:
        verdict = GO
        for rule in call.due:
            if rule.acts == when:
                answer = self._hit(rule, call)
                verdict = answer if verdict is GO else verdict
        return verdict

    def _act(self, rule: Rule, call: Call) -> Verdict:
        action = rule.parsed()
        if action.kind == "delay":
            time.sleep(float(action.argument))
        elif action.kind == "kill-qube":
            if self.kill_qube is not None:
                self.kill_qube(action.argument)
        elif action.kind == "kill-sshd":
            self.kill_sshd()
        elif action.kind == "kill-service":
            if call.kill_service is not None:
                call.kill_service()
            return Verdict("withhold" if rule.when == "after" else "kill")
        elif action.kind == "kill-tool":
            kill_caller(self._tool_of(call).pid, session=True)
            return Verdict("drop") if call.source == "dom0" else GO
        elif action.kind in ("kill-caller", "kill-session"):
            kill_caller(call.pid, action.kind == "kill-session" or call.source == "dom0")
            return Verdict("drop")
        elif action.kind == "cut-after":
            return Verdict("cut", action.argument)
        else:
            return Verdict(action.kind, action.argument)
        return GO


def kill_caller(pid: int, session: bool) -> None:
    """Kill `pid`, and if `session` all that shares its session; never our own session."""
    if pid <= 1:
        return
    victims = {pid}
    if session:
        victims |= _session_of(pid)
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def _session_of(pid: int) -> set[int]:
    try:
        session = os.getsid(pid)
    except ProcessLookupError:
        return set()
    # Session 0 is one whose leader lies outside of our pid namespace: not the caller's own.
    if session in (0, 1, os.getsid(0)):
        return set()
    members = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(name)) == session:
                members.add(int(name))
    return members
