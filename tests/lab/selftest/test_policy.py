"""The policy evaluator: what it admits, what it refuses, and that the genuine one agrees.

Set LAB_QREXEC to a checkout of qubes-core-qrexec to compare with the genuine parser.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from lab.policy import Decision, Policy, PolicyError, Request, decide
from lab.policy_tokens import Domain, Domains

UUIDS = {
    "dom0": "00000000-0000-0000-0000-000000000000",
    "work": "11111111-2222-4333-8444-000000000001",
    "vault": "11111111-2222-4333-8444-000000000002",
    "maint": "11111111-2222-4333-8444-000000000003",
    "dvm": "11111111-2222-4333-8444-000000000004",
    "disp7": "11111111-2222-4333-8444-000000000005",
}


def domain(name: str, klass: str, tags: str = "", *, running: bool = True) -> Domain:
    """Describe one qube of the small system that these tests ask about."""
    return Domain(
        name,
        UUIDS[name],
        klass,
        frozenset(tags.split()),
        "Running" if running else "Halted",
        template_for_dispvms=name == "dvm",
        default_dispvm="dvm" if name in ("work", "dom0", "disp7") else None,
    )


DOMAINS = Domains(
    (
        domain("dom0", "AdminVM"),
        domain("work", "AppVM", "client"),
        domain("vault", "AppVM", "client storage", running=False),
        domain("maint", "StandaloneVM", "maintenance"),
        domain("dvm", "AppVM", "client", running=False),
        domain("disp7", "DispVM", "client"),
    )
)


@pytest.fixture(name="directory")
def fixture_directory(tmp_path: Path) -> Path:
    """Return an empty policy directory."""
    (tmp_path / "policy.d").mkdir()
    return tmp_path / "policy.d"


def ask(
    directory: Path,
    text: str,
    source: str = "work",
    target: str = "maint",
    call: tuple[str, str] = ("t.Say", "+a"),
) -> Decision:
    """Evaluate one call against one file."""
    (directory / "50-test.policy").write_text(text)
    return decide([directory], Request(*call, source, target), DOMAINS)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("t.Say * work maint allow", True),
        ("t.Say * work vault allow", False),
        ("t.Say +a @anyvm @anyvm allow", True),
        ("t.Say + @anyvm @anyvm allow", False),
        ("t.Other * * * allow", False),
        ("* * * * allow", True),
        (f"t.Say +a uuid:{UUIDS['work']} uuid:{UUIDS['maint']} allow autostart=no", True),
        (f"t.Say +a uuid:{UUIDS['vault']} uuid:{UUIDS['maint']} allow", False),
        ("t.Say * @tag:client @tag:maintenance allow", True),
        ("t.Say * @tag:storage * allow", False),
        ("t.Say * @type:AppVM @type:StandaloneVM allow", True),
        ("t.Say * @adminvm * allow", False),
        ("t.Say * * * ask default_target=maint", False),
        ("t.Say * * * deny\nt.Say * * * allow", False),
        ("", False),
    ],
)
def test_first_matching_line_decides(directory: Path, text: str, allowed: bool) -> None:
    """A line admits what it names and nothing else."""
    assert ask(directory, text).allowed is allowed


def test_decision_names_file_and_line(directory: Path) -> None:
    """The deciding rule can be asserted by a test."""
    decision = ask(directory, "# nothing\n\nt.Say * * * deny notify=no\n")

    assert (Path(decision.file).name, decision.line, decision.action) == (
        "50-test.policy",
        3,
        "deny",
    )
    assert not decision.notify


def test_unknown_target_counts_as_default(directory: Path) -> None:
    """A typing error in the target reaches the @default line."""
    decision = ask(directory, "t.Say * * @default allow target=vault", target="valut")

    assert (decision.allowed, decision.target) == (True, "vault")


def test_halted_target_is_refused_without_autostart(directory: Path) -> None:
    """autostart=no asks for the state Running."""
    assert not ask(directory, "t.Say * * * allow autostart=no", target="vault").allowed
    assert ask(directory, "t.Say * * * allow", target="vault").allowed


def test_call_to_itself_is_refused(directory: Path) -> None:
    """A loop is refused even where a line allows it."""
    assert not ask(directory, "* * * * allow", target="work").allowed


def test_runtime_directory_is_merged_by_name(tmp_path: Path) -> None:
    """Files of both directories are one sequence, sorted by name."""
    run, etc = tmp_path / "run", tmp_path / "etc"
    run.mkdir()
    etc.mkdir()
    (etc / "70-deny.policy").write_text("t.Say * * * deny\n")
    (run / "69-gate.policy").write_text("t.Say +a work maint allow\n")

    admitted = decide([run, etc], Request("t.Say", "+a", "work", "maint"), DOMAINS)
    other = decide([run, etc], Request("t.Say", "+b", "work", "maint"), DOMAINS)

    assert admitted.allowed
    assert (other.allowed, Path(other.file).name) == (False, "70-deny.policy")


@pytest.mark.parametrize("name", ["50-Upper.policy", "50 blank.policy", "50-\u00e9.policy"])
def test_one_bad_file_name_refuses_everything(directory: Path, name: str) -> None:
    """The rule about file names holds for the whole system."""
    (directory / name).write_text("")

    assert not ask(directory, "* * * * allow").allowed


@pytest.mark.parametrize("name", [".50-Hidden.policy", "50-Upper.policy.tmp", "README"])
def test_other_files_are_not_read(directory: Path, name: str) -> None:
    """What is no policy file may hold anything."""
    (directory / name).write_text("rubbish")

    assert ask(directory, "* * * * allow").allowed


GOOD_LINES = (
    "t.Say * * * allow",
    "t.Say + work @default allow target=dom0",
    "t.Say +a+b @dispvm:dvm @dispvm allow",
    "t.Say * @dispvm:@tag:client @dispvm:@tag:client deny",
    "t.Say * * * allow user= notify=yes",
    "t.Say * $anyvm ! allow",
    "  t.Say\t*  *\t* deny  notify=no ",
    "# comment",
    "t.Say * * uuid:no-uuid allow",
    "t.Say * * @default ask",
)

BAD_LINES = (
    "t.Say * * *",
    "t.Say",
    "t.Say * * * permit",
    "t.Say * * * Allow",
    "t.Say * * * allow # comment",
    "t.Say * * * allow,notify=yes",
    "t.Say * * * allow notify=true",
    "t.Say * * * allow autostart=",
    "t.Say * * * allow target=",
    "t.Say * * * allow target=*",
    "t.Say * * * allow target=@default",
    "t.Say * * * allow target=@anyvm",
    "t.Say * * * allow target=@tag:x",
    "t.Say * * * allow default_target=work",
    "t.Say * * * allow notify=yes notify=yes",
    "t.Say * * * allow rule=1",
    "t.Say * * * allow =1",
    "t.Say * * * deny autostart=no",
    "t.Say * * * deny target=work",
    "t.Say * * * deny user=root",
    "t.Say * * * ask default_target=@tag:a",
    "t.Say * * @default allow",
    "t.Say * @default * allow",
    "t.Say * @dispvm * allow",
    "t.Say * @foo * allow",
    "t.Say * @ * allow",
    "t.Say * @type: * allow",
    "t.Say * @tag:@x * allow",
    "t.Say * * @dispvm: allow",
    "t.Say * * @dispvm:@tag: allow",
    "t.Say * * @dispvm:@x allow",
    "t.Say a * * allow",
    "t.Say +a/b * * allow",
    "t.Say ++@ * * allow",
    "t.Say+a * * * allow",
    "t/Say * * * allow",
    "* + * * allow",
    "* +a * * allow",
    "t.S\u00e4y * * * allow",
    "!include",
    "!unknown x",
)


@pytest.mark.parametrize("line", BAD_LINES)
def test_one_bad_line_refuses_everything(directory: Path, line: str) -> None:
    """A fault after a line that allows still refuses the call."""
    assert not ask(directory, f"* * * * allow\n{line}\n").allowed


@pytest.mark.parametrize("line", GOOD_LINES)
def test_good_line_is_read(directory: Path, line: str) -> None:
    """Odd, but valid, lines do not disturb others."""
    assert ask(directory, f"t.Say +a work maint allow\n{line}\n").allowed


# --- against the genuine parser ------------------------------------------------------------


@pytest.fixture(name="genuine", scope="module")
def fixture_genuine() -> Iterator[ModuleType]:
    """Return the genuine `qrexec.policy.parser`; skip when it is not given."""
    where = os.environ.get("LAB_QREXEC", "")
    if not where:
        pytest.skip("LAB_QREXEC does not name a checkout of qubes-core-qrexec")
    sys.path.insert(0, where)
    yield pytest.importorskip("qrexec.policy.parser")
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
    import asyncio

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
    lines = []
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
