"""Who may call what: every kind of qube to every kind, every service, every argument.

Closed, and with each line that a gate can hold. Each call names the rule that must decide it, so
that a denial by accident is a failure too: a broad rule after ours would let everything through.
"""

import re
from pathlib import Path

import pytest

from policy.engines import Call, Engine, Verdict, available
from policy.machine import ARGUMENTS, BY_WHAT, KINDS, OWN, TARGETS, Kind
from qborg_wire.row import Role, Service
from qborg_wire.services import SERVICES
from qvm_borg import gate

STATIC = Path(__file__).resolve().parents[2] / "policy/70-qubes-borg.policy"
BROAD = "# What a careless person may add.\n* * * @anyvm allow\n* * * @adminvm allow\n"
SERVES = {
    Role.MAINTENANCE: BY_WHAT["maintenance"],
    Role.CLIENT: BY_WHAT["client being enrolled"],
    Role.VAULT: BY_WHAT["vault"],
    Role.WORKER: BY_WHAT["worker"],
}
Gate = tuple[Service, Kind, Kind]
GATES: list[Gate | None] = [
    None,
    *(
        (row, SERVES[caller], SERVES[callee])
        for row in SERVICES.values()
        if Role.DOM0 not in row.callers
        for caller in row.callers
        for callee in row.callees
    ),
]


def gate_id(opened: Gate | None) -> str:
    """Answer a state's name for the report."""
    return "closed" if opened is None else f"{opened[0].name}-{opened[1].name}-{opened[2].name}"


def directory(folder: Path, opened: Gate | None) -> Path:
    """Lay the files of dom0 in one folder: ours, the gate's if open, and a careless one."""
    (folder / STATIC.name).write_bytes(STATIC.read_bytes())
    (folder / "90-careless.policy").write_text(BROAD)
    if opened is not None:
        row, source, target = opened
        line = gate.text(row.name, OWN, source.uuid, target.uuid)
        (folder / gate.NAME).write_text(line)
    return folder


def deny_line(row: Service) -> int:
    """Answer the line of the static policy that denies a service."""
    lines = STATIC.read_text().splitlines()
    [number] = [n for n, line in enumerate(lines, 1) if line.split()[:1] == [row.full_name]]
    return number


def expected(opened: Gate | None, row: Service, call: Call) -> Verdict:
    """Answer what must decide a call: the open gate if it is that very call, else our denial."""
    if opened is not None:
        service, source, target = opened
        ours = (service.full_name, f"+{OWN}", source.name, target.name)
        if (call.service, call.argument, call.source, call.target) == ours:
            return Verdict(True, gate.NAME, 1, target.name)
    return Verdict(False, STATIC.name, deny_line(row))


@pytest.fixture(name="engine", params=list(available().items()), ids=lambda item: item[0])
def fixture_engine(request: pytest.FixtureRequest) -> Engine:
    """Give one evaluator after the other."""
    engine: Engine = request.param[1]
    return engine


@pytest.mark.parametrize("row", list(SERVICES.values()), ids=lambda row: row.name)
@pytest.mark.parametrize("opened", GATES, ids=gate_id)
def test_a_call_is_decided_by_its_rule(
    engine: Engine, opened: Gate | None, row: Service, tmp_path: Path
) -> None:
    decide = engine(directory(tmp_path, opened), ())
    calls = [
        Call(row.full_name, argument, kind.name, target)
        for kind in KINDS
        for target in TARGETS
        for argument in ARGUMENTS
    ]

    verdicts = {call: decide(call) for call in calls}

    assert verdicts == {call: expected(opened, row, call) for call in calls}
    assert sum(verdict.allowed for verdict in verdicts.values()) == (
        opened is not None and opened[0] == row
    )


@pytest.mark.parametrize("opened", GATES[1:], ids=gate_id)
def test_a_gate_starts_no_qube(engine: Engine, opened: Gate, tmp_path: Path) -> None:
    row, source, target = opened
    decide = engine(directory(tmp_path, opened), (target.name,))

    verdict = decide(Call(row.full_name, f"+{OWN}", source.name, target.name))

    assert verdict == Verdict(False, gate.NAME, 1)


@pytest.mark.parametrize("opened", GATES[1:], ids=gate_id)
def test_a_target_named_by_its_uuid_is_the_same_call(
    engine: Engine, opened: Gate, tmp_path: Path
) -> None:
    row, source, target = opened
    decide = engine(directory(tmp_path, opened), ())

    verdict = decide(Call(row.full_name, f"+{OWN}", source.name, f"uuid:{target.uuid}"))

    assert (verdict.allowed, verdict.file) == (True, gate.NAME)


def test_without_our_file_the_careless_line_would_decide(engine: Engine, tmp_path: Path) -> None:
    directory(tmp_path, None)
    (tmp_path / STATIC.name).unlink()

    verdict = engine(tmp_path, ())(Call("qborg.StoreRecord", "+", "untrusted", "vault"))

    assert verdict == Verdict(True, "90-careless.policy", 2, "vault")


def test_the_gate_sorts_before_our_file_and_has_a_name_that_qubes_reads() -> None:
    assert gate.NAME < STATIC.name
    for name in (gate.NAME, STATIC.name):
        assert re.fullmatch(r"[a-z0-9_-][a-z0-9_.-]*\.policy", name)


@pytest.mark.parametrize(
    "row", [row for row in SERVICES.values() if Role.DOM0 in row.callers], ids=lambda row: row.name
)
def test_no_gate_is_ever_written_for_a_service_that_dom0_calls(row: Service) -> None:
    source, target = SERVES[Role.MAINTENANCE].uuid, SERVES[Role.CLIENT].uuid

    with pytest.raises(ValueError, match="need no gate"):
        gate.text(row.name, OWN, source, target)
