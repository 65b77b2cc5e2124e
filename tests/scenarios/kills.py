"""The table of kills, by rule from the list of calls: who is killed at which call, and when.

`calls.txt` is the list of a clean run, written down: a line for each call of each step. A new call
is in the table once it is in that list, and the list is compared with a clean run.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

LIST = Path(__file__).parent / "calls.txt"
ON_CLIENTS = ("enrol", "rotate")  # the runs on a client
PLAIN = ("setup", "login")  # the two of a set-up with a person at the server between them
PASSWORD = "password"  # the one of a set-up that logs in by a password and has a vault
# What changes nothing: the world is the same before it and after it, so it is one boundary.
_READS = re.compile(
    r"admin\.(vm\.(List|CurrentState|property\.Get(All)?|feature\.(Get|List|Check\w+)|tag\.\w+"
    r"|firewall\.Get)|property\.Get)\+.*"
)
_SHUTDOWN = "admin.vm.Shutdown+"
_NOTE = "admin.vm.feature.Set+x-qborg"
_OTHERS = "others"


@dataclass(frozen=True)
class Call:
    """One call of one run. `step` counts the changing calls that were done before it.

    All qubes that nobody calls or changes are one target, `others`. Whether the target is running
    is no part of which call it is: a qube that is shutting down may be looked at early or late.
    """

    run: str
    step: int
    where: str
    source: str
    target: str
    name: str
    running: bool = field(compare=False)

    @property
    def reads(self) -> bool:
        """Tell whether it changes nothing."""
        return self.where == "qubesd" and _READS.fullmatch(self.name) is not None

    def line(self) -> str:
        """Answer its line in the list."""
        state = "running" if self.running else "-"
        return " ".join((self.run, str(self.step), self.where, self.source, self.target, self.name,
                         state))


@dataclass(frozen=True)
class Seen:
    """Which call of a clean run that was: its real target, its number, how long it took."""

    target: str
    nth: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """One kill."""

    call: Call
    victim: str
    moment: str

    def __str__(self) -> str:
        call = self.call
        return f"{call.run}-{call.step}-{call.target}-{call.name}-{self.victim}-{self.moment}"


def distinct(run: str, trace: Sequence[Mapping[str, Any]]) -> dict[Call, Seen]:
    """Answer the calls of a clean run; the same call again within one step is the same one.

    A call that did not come to its end (the gate was not noticed yet) is no step.
    """
    acting = {entry["target"] for entry in trace
              if entry["where"] == "qrexec" or not _READS.fullmatch(entry["name"])}
    found: dict[Call, Seen] = {}
    ended: Counter[tuple[str, ...]] = Counter()
    step = 0
    for entry in trace:
        target = entry["target"] if entry["target"] in acting | {"dom0"} else _OTHERS
        call = Call(run, step, entry["where"], entry["source"], target, entry["name"],
                    entry["running"] and target != _OTHERS)
        if not call.reads and entry["seconds"] == 0:
            continue
        # Of those that came to their end: how many were refused before varies from run to run.
        same = entry["where"], entry["source"], entry["target"], entry["name"]
        ended[same] += 1
        if call not in found:
            nth = ended[same] if call.where == "qrexec" else entry["nth"]
            found[call] = Seen(entry["target"], nth, entry["seconds"])
        step += not call.reads
    names = [entry["name"] for entry in trace if entry["seconds"]]
    # How often it is tried before the gate is noticed varies; every try is hit then.
    return {call: replace(seen, nth=0) if names.count(call.name) == 1 else seen
            for call, seen in found.items()}


def written_down() -> list[Call]:
    """Answer the list of the file."""
    lines = (line.split() for line in LIST.read_text(encoding="ascii").splitlines())
    return [Call(run, int(step), where, source, target, name, state == "running")
            for run, step, where, source, target, name, state in lines]


def rows(calls: Iterable[Call]) -> list[Row]:
    """Answer every kill of whoever can be alive during a call, at each of its moments.

    Of a set-up by a password those of the calls that the plain set-up has not got.
    """
    plain = {_named(call) for call in written_down() if call.run in PLAIN}
    return [Row(call, victim, moment) for call in calls
            if call.run != PASSWORD or _named(call) not in plain
            for victim in _victims(call) for moment in _moments(call)]


def _named(call: Call) -> tuple[str, ...]:
    return call.where, call.source, call.target, call.name


def is_shutting_down(row: Row) -> bool:
    """Answer whether the call's qube was told to shut down before the kill: it takes a while."""
    told = row.call.name == _SHUTDOWN and (row.moment != "before" or row.victim != "tool")
    return told or any(call.name == _SHUTDOWN and call.step < row.call.step
                       and (call.run, call.target) == (row.call.run, row.call.target)
                       for call in written_down())


def _victims(call: Call) -> list[str]:
    """Answer who can be killed: the tool always, the qubes that the call is between if they run.

    A service is at work in a qrexec call only, since dom0 does one thing after the other. sshd
    has nobody connected between two such calls: killed there, it is missed by the next.
    """
    qubes = [call.target] if call.running else []
    qubes += [call.source] if call.source != "dom0" else []
    return ["tool", *qubes, *(["service", "sshd"] if call.where == "qrexec" else [])]


def _moments(call: Call) -> tuple[str, ...]:
    if call.reads:
        return ("before",)
    return ("before", "amid", "after") if call.where == "qrexec" else ("before", "after")


def boundaries(calls: Sequence[Call]) -> list[Row]:
    """Answer the kills at the boundaries of the steps, for every change that is tested.

    The tool after each note of a step in the record, and in a set-up after whatever it changes in
    qubesd; after the first call of each service one of the others, in turn for each qube that is
    called.
    """
    every = rows(calls)
    struck = list(dict.fromkeys(row.call for row in every))
    first = {(call.run, call.name.partition("+")[0]): call
             for call in reversed(struck) if call.where == "qrexec"}
    served = [call for call in struck if call in first.values()]
    chosen = [row for row in every if row.call.where == "qubesd" and not row.call.reads
              and row.victim == "tool" and row.moment == "after"
              and (row.call.name == _NOTE or row.call.run not in ON_CLIENTS)]
    turns: Counter[str] = Counter()
    for call in served:
        victim = (call.target, "service", "sshd")[turns[call.target] % 3]
        turns[call.target] += 1
        chosen += [row for row in every if row == Row(call, victim, "after")]
    return chosen


def turns(calls: Sequence[Call]) -> list[Row]:
    """Answer the kills of a rotation where one key takes over from the other.

    The new bundle is in force and nobody has heard of it; dom0 has noted it; the former key is off
    the server and nobody has heard of it.
    """
    last = {call.name.partition("+")[0]: call for call in calls if call.where == "qrexec"}
    adopted, settled = last["qborg.AdoptBundle"], last["qborg.PublishKeys"]
    noted = next(call for call in calls if call.name == _NOTE and call.step > adopted.step)
    return [Row(adopted, "service", "after"), Row(noted, "tool", "after"),
            Row(settled, "service", "after")]
