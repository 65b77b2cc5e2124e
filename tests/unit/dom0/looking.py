"""A machine that qvm-borg-status looks at: what dom0 noted, what the others say, and the look."""

from dataclasses import replace
from unittest import mock
from uuid import UUID

from qborg_wire.names import Repository
from qvm_borg import record
from qvm_borg.record import Record
from qvm_borg.tools import status
from unit.dom0.honest import FINGERPRINT, HOST_KEY, Honest

NOW = 1_764_000_000
HOUR, DAY = 3600, 86400
GOOD = Record(
    UUID(int=0), Repository("qubes", "work"), "forget", FINGERPRINT,
    digests={"bundle": "b" * 64, "key": "2" * 64},
    times={"backup": str(NOW - DAY), "proved": str(NOW - DAY)}, notes={"escrow": record.ESCROWED},
)  # fmt: skip
CLAIM = {
    "qube": "work", "borg": "1.4.0", "borgmatic": "1.9.14", "cron": "running",
    "server": "reachable", "host_key": HOST_KEY, "repository": "qubes-work", "bundle": "b" * 64,
    "endpoint": "e" * 64, "last_success": str(NOW - HOUR), "last_outcome": "ok",
}  # fmt: skip
SHOWN = {"time": str(NOW - HOUR)}


def has(machine: Honest, found: Record, name: str = "work", own: bool = True) -> None:
    """Give a qube a record, its own or as a copy."""
    vm = machine.app.domains.all[name]
    vm.features.own["x-qborg"] = record.render(replace(found, uuid=vm.uuid) if own else found)


def look(machine: Honest, *args: str, calls: int | None = None) -> int:
    """Run the command at NOW, however long ago that was; it asks so many; answers its exit code."""
    with mock.patch("time.time", return_value=NOW):
        code: int = status.main(list(args), app=machine.app)
    asked = [line.partition("qborg.")[2] for line in machine.app.trace if "qborg." in line]
    assert set(asked) <= {"DescribeClient+", "ObserveServer+"}  # it only looks
    others = [line.split(" ") for line in machine.app.trace if "qborg." not in line]
    notes = {record.WHOLE, record.LACKING}
    assert all(what == "set" and name in notes for what, _qube, name in others)
    assert calls is None or len(asked) == calls
    return code
