"""Faults at the boundaries the lab owns, and the trace of every call that crossed them.

Runs in the supervisor. It knows calls by their name only; it must not know what a call does.

A call is named as it is on the wire, METHOD+ARGUMENT. Before qubesd or qrexec acts on a call it
asks `Faults.before`, and when the call is done, but not yet answered, `Faults.after`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields

WHERES = ("qubesd", "qrexec")
WHENS = ("before", "after")
DIRECTIONS = ("in", "out")


@dataclass(frozen=True)
class Action:
    """What a rule does: `kind`, and `argument` in the form that this kind wants."""

    kind: str
    argument: str = ""


@dataclass(frozen=True)
class Rule:
    """Do `action` at the `n`-th call (1 is the next; 0 is every) that `match` names.

    `match`, `source` and `target` are shell patterns; `match` may be several, joined by `|`.
    Actions: kill-caller, kill-session, kill-qube:NAME, delay:SECONDS, refuse, error[:WHAT],
    cut-after:BYTES[:in|:out] (qrexec, before; `in` is towards the service). `error` raises
    QubesException, or the type WHAT, in qubesd and ends a qrexec call with status WHAT or 255.
    kill-caller kills the whole session of a caller in dom0, and only the process in a qube.
    """

    where: str
    match: str
    n: int = 1
    when: str = "before"
    action: str = "refuse"
    source: str = "*"
    target: str = "*"

    def __post_init__(self) -> None:
        """Raise ValueError for a rule that could never act."""
        if self.where not in WHERES or self.when not in WHENS or self.n < 0:
            raise ValueError(f"not a fault rule: {self}")
        action = self.parsed()
        if action.kind == "cut-after" and (self.where, self.when) != ("qrexec", "before"):
            raise ValueError("cut-after is for qrexec calls, before they begin")

    def parsed(self) -> Action:
        """Return the action in two halves; raise ValueError when it is none of ours."""
        kind, _, argument = self.action.partition(":")
        good = {
            "kill-caller": argument == "",
            "kill-session": argument == "",
            "refuse": argument == "",
            "error": True,
            "kill-qube": argument != "",
            "delay": argument.replace(".", "", 1).isdigit(),
            "cut-after": _is_cut(argument),
        }
        if not good.get(kind, False):
            raise ValueError(f"unknown fault action: {self.action!r}")
        return Action(kind, argument)

    def matches(self, where: str, source: str, target: str, name: str) -> bool:
        """Tell whether the rule is about this call."""
        return (
            where == self.where
            and fnmatch.fnmatchcase(source, self.source)
            and fnmatch.fnmatchcase(target, self.target)
            and any(fnmatch.fnmatchcase(name, part) for part in self.match.split("|"))
        )

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Rule:
        """Build a rule from a control request; raise ValueError for keys that are no fields."""
        known = {item.name for item in fields(cls)}
        if not set(data) <= known:
            raise ValueError(f"unknown keys in a fault rule: {sorted(set(data) - known)}")
        numbers = {"n": int(str(data.get("n", 1)))}
        return cls(**{key: str(value) for key, value in data.items() if key != "n"}, **numbers)


@dataclass(frozen=True)
class TraceEntry:
    """One call seen. `nth` counts calls with the same where, source, target and name, from 1."""

    where: str
    source: str
    target: str
    name: str
    nth: int

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
    """One call on its way; `pid` is its caller as seen from here, 0 when there is none."""

    where: str
    source: str
    target: str
    name: str
    pid: int = 0
    due: list[Rule] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What the boundary has to do: `go`, `drop` (no answer), `refuse`, `error` or `cut`."""

    kind: str = "go"
    argument: str = ""


GO = Verdict()


class Faults:
    """The rules now in force and the trace. All methods may be called from any thread."""

    def __init__(self, kill_qube: Callable[[str], None] | None = None) -> None:
        """Take the function that kills a qube by name, for the action of that name."""
        self.kill_qube = kill_qube
        self._lock = threading.Lock()
        self._rules: list[tuple[Rule, int]] = []
        self._trace: list[TraceEntry] = []

    def add(self, rule: Rule) -> None:
        """Put one more rule in force; it counts calls from now on."""
        with self._lock:
            self._rules.append((rule, 0))

    def clear(self) -> None:
        """Drop all rules and the trace."""
        with self._lock:
            self._rules.clear()
            self._trace.clear()

    def trace(self) -> tuple[TraceEntry, ...]:
        """Return all calls seen since the last `clear`, oldest first."""
        with self._lock:
            return tuple(self._trace)

    def before(self, call: Call) -> Verdict:
        """Note the call, apply what is due before it, and remember what is due after it."""
        with self._lock:
            self._note(call)
            counted = []
            for rule, seen in self._rules:
                if rule.matches(call.where, call.source, call.target, call.name):
                    seen += 1
                    if rule.n in (0, seen):
                        call.due.append(rule)
                counted.append((rule, seen))
            self._rules = counted
        return self._apply(call, "before")

    def after(self, call: Call) -> Verdict:
        """Apply what is due once the call is done and before its caller hears of it."""
        return self._apply(call, "after")

    def _note(self, call: Call) -> None:
        key = (call.where, call.source, call.target, call.name)
        nth = 1 + sum(
            key == (entry.where, entry.source, entry.target, entry.name) for entry in self._trace
        )
        self._trace.append(TraceEntry(*key, nth))

    def _apply(self, call: Call, when: str) -> Verdict:
        verdict = GO
        for rule in call.due:
            if rule.when == when:
                answer = self._act(rule.parsed(), call)
                verdict = answer if verdict is GO else verdict
        return verdict

    def _act(self, action: Action, call: Call) -> Verdict:
        if action.kind == "delay":
            time.sleep(float(action.argument))
        elif action.kind == "kill-qube":
            if self.kill_qube is not None:
                self.kill_qube(action.argument)
        elif action.kind in ("kill-caller", "kill-session"):
            kill_caller(call.pid, action.kind == "kill-session" or call.source == "dom0")
            return Verdict("drop")
        elif action.kind == "cut-after":
            return Verdict("cut", action.argument)
        else:
            return Verdict(action.kind, action.argument)
        return GO


def parse_cut(argument: str) -> tuple[int, str]:
    """Return (bytes, direction) of a cut-after action."""
    count, _, direction = argument.partition(":")
    return int(count), direction or "in"


def _is_cut(argument: str) -> bool:
    count, colon, direction = argument.partition(":")
    return count.isdigit() and (direction in DIRECTIONS if colon else True)


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
