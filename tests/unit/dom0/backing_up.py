"""What the tests of qvm-borg-backup share: three qubes, a run, who was moved in it."""

from collections.abc import Callable
from dataclasses import replace

from qvm_borg import record
from qvm_borg.tools import backup
from unit.dom0.honest import Honest
from unit.dom0.machine import Vm

NAMES = ("home", "mail", "work")
Change = Callable[[Honest, Vm], object]


def run(machine: Honest, *args: str) -> int:
    """Run qvm-borg-backup; answers its exit code."""
    machine.app.trace.clear()
    code: int = backup.main(list(args), app=machine.app)
    return code


def vm(machine: Honest, name: str) -> Vm:
    """Answer a qube."""
    return machine.app.domains.all[name]


def note(qube: Vm, **changes: object) -> None:
    """Change dom0's record of a qube."""
    own, known = qube.features.own, record.parse(qube.features.own["x-qborg"])
    assert known is not None
    own["x-qborg"] = record.render(replace(known, **changes))  # type: ignore[arg-type]


def moves(machine: Honest) -> list[str]:
    """Answer who was started, backed up and halted, in order."""
    return [f"{line.split()[0]} {line.split()[1]}" for line in machine.app.trace
            if line.startswith(("start ", "shutdown ")) or "RunBackup" in line]


def enrol(machine: Honest, name: str) -> Vm:
    """Make an enrolled qube that is halted."""
    made = machine.qube(name, "Halted")
    made.revisions = ["1"]
    made.features.own["service.qborg-client"] = "1"
    made.features.own["x-qborg"] = record.render(record.Record(
        made.uuid, record.names.Repository("qubes", name), "prove"))
    return made
