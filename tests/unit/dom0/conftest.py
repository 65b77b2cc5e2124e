"""What the tests of dom0 share: a machine of qubes that needs neither Qubes nor qubesadmin."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvm_borg.session import Session
from unit.dom0 import looking
from unit.dom0.backing_up import NAMES, enrol
from unit.dom0.honest import Honest, evidence, run
from unit.dom0.machine import answer


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home of its own, for settings and lock."""
    path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Honest:
    """Answer a machine that is not set up."""
    policy = tmp_path / "policy.d"
    policy.mkdir()
    return Honest(policy)


@pytest.fixture
def ready(machine: Honest) -> Honest:
    """Answer a machine that is set up, with the running qube `work`."""
    machine.set_up()
    machine.qube("work")
    return machine


@pytest.fixture
def escrowing(ready: Honest) -> Honest:
    """Answer a machine that is set up and has a vault, which is halted."""
    ready.vault()
    return ready


@pytest.fixture
def escrowed(escrowing: Honest, monkeypatch: pytest.MonkeyPatch) -> Honest:
    """Answer a machine on which `work` is enrolled with a vault; a command finds its gate."""
    monkeypatch.setattr(Session.__init__, "__defaults__", (escrowing.policy,))
    run(escrowing, escrow=True)
    escrowing.app.trace.clear()
    return escrowing


@pytest.fixture
def enrolled(escrowed: Honest) -> Honest:
    """Answer the same with `work` halted, and keys that are not on the server as they are."""
    escrowed.app.domains.all["work"].state = "Halted"
    escrowed.published = False
    return escrowed


@pytest.fixture
def halted(ready: Honest, monkeypatch: pytest.MonkeyPatch) -> Honest:
    """Answer a machine with work enrolled as dom0 noted it; nobody runs but dom0."""
    monkeypatch.setattr(Session.__init__, "__defaults__", (ready.policy,))
    monkeypatch.setenv("COLUMNS", "200")
    ready.app.domains.all["work"].state = "Halted"
    looking.has(ready, looking.GOOD)
    return ready


@pytest.fixture
def running(halted: Honest) -> Honest:
    """Answer the same with work and the maintenance qube running, and all well."""
    for name in ("work", "borg-maintenance"):
        halted.app.domains.all[name].state = "Running"
    halted.answers["DescribeClient"] = answer(**looking.CLAIM)
    halted.answers["ObserveServer"] = answer(evidence=evidence(**looking.SHOWN))
    return halted


@pytest.fixture
def three(ready: Honest) -> Honest:
    """Answer a machine on which home, mail and work are enrolled and halted."""
    for name in NAMES:
        enrol(ready, name)
    return ready


@pytest.fixture
def hearing() -> Iterator[None]:
    """Hear Ctrl-C, as a shell's background job does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
