"""The policy evaluator against the genuine one.

Set LAB_QREXEC to a checkout of qubes-core-qrexec to compare; else this file is not collected.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lab.policy import Policy, PolicyError, Request
from lab.selftest.policy_words import BAD_LINES, DOMAINS, GOOD_LINES, UUIDS


@pytest.fixture(name="directory")
def fixture_directory(tmp_path: Path) -> Path:
    """Return an empty policy directory."""
    (tmp_path / "policy.d").mkdir()
    return tmp_path / "policy.d"


@pytest.fixture(name="genuine", scope="module")
def fixture_genuine() -> Iterator[ModuleType]:
    """Return the genuine `qrexec.policy.parser`."""
    where = os.environ["LAB_QREXEC"]
    sys.path.insert(0, where)
    yield importlib.import_module("qrexec.policy.parser")
    sys.path.remove(where)


def genuine_info() -> dict[str, dict[str, dict[str, object]]]:
    """Describe the same system as the genuine engine wants it."""
    found: dict[str, dict[str, object]] = {}
    for name, uuid in UUIDS.items():
        known = DOMAINS[name]
        found[name] = found["uuid:" + uuid] = {
            "name": name,
            "tags": sorted(known.tags),
            "type": known.klass,
            "default_dispvm": known.default_dispvm,
            "template_for_dispvms": known.template_for_dispvms,
            "icon": "",
            "guivm": None,
            "power_state": known.power_state,
            "uuid": uuid,
        }
    return {"domains": found}


def genuine_answer(parser: ModuleType, policy: object, request: Request) -> tuple[object, ...]:
    """Return (allowed, target, user, autostart) as the genuine engine sees it."""
    try:
        asked = parser.Request(
            request.service,
            request.argument,
            request.source,
            request.target,
            system_info=genuine_info(),
        )
        resolution = policy.evaluate(asked)  # type: ignore[attr-defined]
        asyncio.run(resolution.execute())
    except (parser.AccessDenied, parser.PolicySyntaxError, AttributeError):
        # AttributeError: its crash on @dispvm of a qube without one, which refuses as well.
        return (False,)
    target = "dom0" if parser.is_dom0(resolution.target) else str(resolution.target)
    return (True, target, resolution.user or "", resolution.autostart)


def own_answer(policy: Policy, request: Request) -> tuple[object, ...]:
    """Return the same of ours."""
    decision = policy.evaluate(request, DOMAINS)
    if not decision.allowed:
        return (False,)
    return (True, decision.target, decision.user, decision.autostart)


SOURCES = ("*", "work", "@anyvm", "@adminvm", "dom0", "@tag:client", "@type:AppVM", "@dispvm:dvm")
TARGETS = (
    *SOURCES,
    "@default",
    "@dispvm",
    "@dispvm:@tag:client",
    f"@dispvm:uuid:{UUIDS['dvm']}",
    f"uuid:{UUIDS['maint']}",
    f"uuid:{UUIDS['dom0']}",
    "@type:AdminVM",
)
ACTIONS = (
    "allow",
    "allow autostart=no",
    "allow user=root",
    "allow target=dom0",
    "allow target=@dispvm",
    "allow target=@adminvm autostart=no",
    "allow target=nobody",
    f"allow target=uuid:{UUIDS['vault']}",
    "allow target=@dispvm:dvm",
    "allow target=@dispvm:work",
    "deny",
    "ask",
)
ASKED_TARGETS = (
    "",
    "@default",
    "@adminvm",
    "@dispvm",
    "@dispvm:dvm",
    "@dispvm:work",
    "@anyvm",
    "*",
    "nobody",
    "dom0",
    "work",
    "vault",
    "maint",
    "disp7",
    f"uuid:{UUIDS['maint']}",
    f"uuid:{UUIDS['dom0']}",
    f"@dispvm:uuid:{UUIDS['dvm']}",
)


def random_policy(random_source: random.Random) -> str:
    """Write a policy of a few lines out of the words above."""
    lines: list[str] = []
    while len(lines) < 4:
        service, argument = random_source.choice((("t.Say", "*"), ("t.Say", "+a"), ("*", "*")))
        target, action = random_source.choice(TARGETS), random_source.choice(ACTIONS)
        if target == "@default" and action.startswith("allow") and "target=" not in action:
            continue
        source = random_source.choice((*SOURCES, f"uuid:{UUIDS['vault']}"))
        lines.append(f"{service} {argument} {source} {target} {action}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(12))
def test_genuine_engine_decides_alike(genuine: ModuleType, directory: Path, seed: int) -> None:
    """Both engines give one answer for random policies and every kind of call."""
    text = random_policy(random.Random(seed))
    (directory / "50-test.policy").write_text(text)
    own = Policy.load([directory])
    other = genuine.FilePolicy(policy_path=directory)
    calls = itertools.product(
        ("t.Say", "t.Other"), ("+a", "+"), ("work", "vault", "disp7", "maint"), ASKED_TARGETS
    )

    for service, argument, source, target in calls:
        request = Request(service, argument, source, target)
        assert own_answer(own, request) == genuine_answer(genuine, other, request), (text, request)


@pytest.mark.parametrize("line", BAD_LINES + GOOD_LINES)
def test_genuine_engine_reads_alike(genuine: ModuleType, directory: Path, line: str) -> None:
    """Both engines accept, or refuse, the same lines."""
    (directory / "50-test.policy").write_text(line + "\n")
    try:
        genuine.FilePolicy(policy_path=directory)
    except genuine.PolicySyntaxError:
        with pytest.raises(PolicyError):
            Policy.load([directory])
        return

    Policy.load([directory])
