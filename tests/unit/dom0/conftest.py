"""What the tests of dom0 share: a machine of qubes that needs neither Qubes nor qubesadmin."""

from pathlib import Path

import pytest

from qvm_borg.session import Session
from unit.dom0.honest import Honest, run


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
