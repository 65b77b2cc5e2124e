"""Fixtures of the lab's own tests: a qubesd with fake machines, and client libraries for it."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

from lab.faults import Faults
from lab.qrexec import Qrexec
from lab.qubesd import Qubesd
from lab.selftest.calls import Calls
from lab.selftest.fakes import FakeMachines
from lab.selftest.system import System
from lab.world import parse

# The originals take part where a checkout of them is named; no registry has them. What would
# only compare with one that is not there is not collected, and the report's header says so.
GENUINE = os.environ.get("LAB_QUBESADMIN", "")
collect_ignore = [] if os.environ.get("LAB_QREXEC") else ["test_policy_genuine.py"]
STAND_IN = Path(__file__).resolve().parent.parent / "stand_in"
WORLD = {
    "templates": {"debian-13": {"label": "black"}},
    "qubes": {
        "sys-firewall": {
            "class": "AppVM",
            "label": "green",
            "template": "debian-13",
            "provides_network": True,
        },
        "work": {
            "class": "AppVM",
            "label": "blue",
            "template": "debian-13",
            "netvm": "sys-firewall",
            "tags": ["bank"],
            "features": {"service.crond": "1", "x-note": "a b"},
        },
        "vault": {"class": "AppVM", "label": "black", "template": "debian-13"},
        "default-dvm": {
            "class": "AppVM",
            "label": "red",
            "template": "debian-13",
            "template_for_dispvms": True,
            "features": {"x-dvm": "yes"},
            "tags": ["inherited"],
        },
    },
}


@pytest.fixture(name="system")
def fixture_system(tmp_path: Path) -> Iterator[System]:
    """Bring up a qubesd with a small world, all of it halted."""
    machines, faults = FakeMachines(tmp_path / "m"), Faults()
    qubesd = Qubesd(machines, tmp_path / "qubesd.json", tmp_path / "qubesd.log", faults)
    qubesd.create_world(parse(WORLD, "test"))
    machines.steps.clear()
    path = tmp_path / "qubesd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(64)
        qubesd.serve(listener)
        yield System(qubesd, machines, faults, path)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(name="calls")
def fixture_calls(system: System, tmp_path: Path) -> Iterator[Calls]:
    """Bring up a qrexec; sys-firewall, work and vault run, default-dvm does not."""
    etc, run = tmp_path / "etc", tmp_path / "run"
    etc.mkdir()
    run.mkdir()
    log = tmp_path / "qrexec.log"
    qrexec = Qrexec(system.machines, system.qubesd, (etc, run), log, system.faults)
    qrexec.policy_delay = 0
    policy = etc / "50-test.policy"
    made = Calls(system, system.machines, tmp_path / "clients", policy, log, qrexec)
    with ExitStack() as stack:
        for name in ("dom0", "sys-firewall", "work", "vault", "default-dvm"):
            path = tmp_path / f"{name}.sock"
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            listener.listen(64)
            qrexec.listen(name, listener)
            stack.callback(qrexec.close, name)
            made.install(name, path)
        for name in ("work", "vault"):
            system.qubesd.start(name)
        yield made
        system.qubesd.power.stop_all(hard=True)


def _forget_library() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "qubesadmin"]:
        del sys.modules[name]


@pytest.fixture(name="qubesadmin", params=["stand-in", *(["genuine"] if GENUINE else [])])
def fixture_qubesadmin(request: pytest.FixtureRequest, system: System) -> Iterator[ModuleType]:
    """Return the client library, bound to the system's socket; each kind that there is."""
    where = GENUINE if request.param == "genuine" else str(STAND_IN)
    _forget_library()
    sys.path.insert(0, where)
    try:
        library = importlib.import_module("qubesadmin")
        importlib.import_module("qubesadmin.config").QUBESD_SOCKET = str(system.socket_path)
        yield library
    finally:
        sys.path.remove(where)
        _forget_library()
