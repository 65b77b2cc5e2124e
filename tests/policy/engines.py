"""The two evaluators behind one shape: the lab's own, and the genuine parser where it is given.

LAB_QREXEC names a checkout of qubes-core-qrexec (the folder that holds the package `qrexec`).
"""

import importlib
import os
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.policy import Policy, Request
from lab.policy_tokens import Domain, Domains

from policy.machine import KINDS, Kind


@dataclass(frozen=True)
class Call:
    """One call that a qube tries; the argument begins with `+`."""

    service: str
    argument: str
    source: str
    target: str


@dataclass(frozen=True)
class Verdict:
    """Whether the call passes, to which qube, and the file and line that decide."""

    allowed: bool
    file: str
    line: int
    target: str = ""


Engine = Callable[[Path, Collection[str]], Callable[[Call], Verdict]]


def lab_engine(directory: Path, halted: Collection[str] = ()) -> Callable[[Call], Verdict]:
    """Load a policy directory into the lab's evaluator."""
    policy = Policy.load([directory])
    domains = Domains(tuple(_lab_domain(kind, kind.name in halted) for kind in KINDS))

    def decide(call: Call) -> Verdict:
        request = Request(call.service, call.argument, call.source, call.target)
        decision = policy.evaluate(request, domains)
        file = Path(decision.file).name
        return Verdict(decision.allowed, file, decision.line, decision.target)

    return decide


def _lab_domain(kind: Kind, halted: bool) -> Domain:
    return Domain(
        name=kind.name,
        uuid=str(kind.uuid),
        klass=kind.klass,
        tags=frozenset(kind.tags),
        power_state="Halted" if halted else "Running",
        template_for_dispvms=kind.name in ("work", "default-dvm"),
        default_dispvm=None if kind.klass == "AdminVM" else "default-dvm",
    )


def genuine_engine(directory: Path, halted: Collection[str] = ()) -> Callable[[Call], Verdict]:
    """Load a policy directory into the parser of qubes-core-qrexec."""
    parser: Any = importlib.import_module("qrexec.policy.parser")
    denied: Any = importlib.import_module("qrexec.exc").AccessDenied
    policy = parser.FilePolicy(policy_path=directory)
    domains = {kind.name: _genuine_domain(kind, kind.name in halted) for kind in KINDS}
    domains |= {f"uuid:{kind.uuid}": domains[kind.name] for kind in KINDS}

    def decide(call: Call) -> Verdict:
        request = parser.Request(
            call.service, call.argument, call.source, call.target, system_info={"domains": domains}
        )
        rule = policy.find_matching_rule(request)
        try:
            target = str(policy.evaluate(request).target)
        except denied:
            return Verdict(False, Path(rule.filepath).name, rule.lineno)
        return Verdict(True, Path(rule.filepath).name, rule.lineno, target)

    return decide


def _genuine_domain(kind: Kind, halted: bool) -> dict[str, Any]:
    return {
        "name": kind.name,
        "uuid": str(kind.uuid),
        "type": kind.klass,
        "tags": list(kind.tags),
        "power_state": "Halted" if halted else "Running",
        "template_for_dispvms": kind.name in ("work", "default-dvm"),
        "default_dispvm": None if kind.klass == "AdminVM" else "default-dvm",
        "icon": "",
        "guivm": None,
        "relayvm": None,
        "transport_rpc": None,
        "internal": False,
    }


def available() -> dict[str, Engine]:
    """Answer the evaluators of this run by name; the report's header says which they are."""
    engines: dict[str, Engine] = {"lab": lab_engine}
    if folder := os.environ.get("LAB_QREXEC"):
        sys.path.insert(0, folder)
        engines["genuine"] = genuine_engine
    return engines
