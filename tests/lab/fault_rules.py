"""What a fault rule is: which calls it is about, and what is done to them, when.

Runs in the supervisor and knows nothing of processes or qubes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, fields

WHERES = ("qubesd", "qrexec")
WHENS = ("before", "amid", "after")
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
    Actions: kill-caller, kill-tool, kill-session, kill-service, kill-sshd, kill-qube:NAME,
    delay:SECONDS, refuse, error[:WHAT], cut-after:BYTES[:in|:out] (qrexec, before; `in` is towards
    the service). `error` raises QubesException, or the type WHAT, in qubesd and ends a qrexec call
    with status WHAT or 255. kill-caller kills the whole session of a caller in dom0, and only the
    process in a qube; kill-tool the caller in dom0 for whom a qube calls. kill-service (qrexec)
    kills the one process, with its work done and its reply lost if `after`.
    `ended`: the calls that were broken off or refused before are not counted; every try until one
    comes to its end is the `n`-th then.
    `seconds` is for `amid`: how long the call has lasted by then; the action must be a kill.
    """

    where: str
    match: str
    n: int = 1
    when: str = "before"
    action: str = "refuse"
    source: str = "*"
    target: str = "*"
    seconds: float = 0.0
    ended: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a rule that could never act."""
        if self.where not in WHERES or self.when not in WHENS or self.n < 0:
            raise ValueError(f"not a fault rule: {self}")
        action = self.parsed()
        if action.kind == "cut-after" and (self.where, self.when) != ("qrexec", "before"):
            raise ValueError("cut-after is for qrexec calls, before they begin")
        if action.kind == "kill-service" and self.where != "qrexec":
            raise ValueError("a service runs in qrexec calls only")
        if self.when == "amid" and not action.kind.startswith("kill-"):
            raise ValueError("amid a call there is only killing")

    @property
    def acts(self) -> str:
        """When the boundary has to know of it: how a service ends is settled as it begins."""
        settled = (self.action, self.when) == ("kill-service", "after")
        return "before" if settled else self.when

    def parsed(self) -> Action:
        """Return the action in two halves; raise ValueError when it is none of ours."""
        kind, _, argument = self.action.partition(":")
        good = {
            "kill-caller": argument == "",
            "kill-session": argument == "",
            "kill-tool": argument == "",
            "kill-service": argument == "",
            "kill-sshd": argument == "",
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
        texts = {key: str(value) for key, value in data.items()
                 if key not in ("n", "seconds", "ended")}
        seconds = float(str(data.get("seconds", 0)))
        return cls(**texts, n=int(str(data.get("n", 1))), seconds=seconds,
                   ended=data.get("ended") is True)


def parse_cut(argument: str) -> tuple[int, str]:
    """Return (bytes, direction) of a cut-after action."""
    count, _, direction = argument.partition(":")
    return int(count), direction or "in"


def _is_cut(argument: str) -> bool:
    count, colon, direction = argument.partition(":")
    return count.isdigit() and (direction in DIRECTIONS if colon else True)
