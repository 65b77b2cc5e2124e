"""What the tests of dom0 share: a machine of qubes that needs neither Qubes nor qubesadmin."""

from pathlib import Path

import pytest

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
def enrolled(ready: Honest) -> Honest:
    """Answer a machine on which `work` is enrolled with a vault, and halted."""
    ready.vault()
    run(ready, escrow=True)
    ready.app.domains.all["work"].state = "Halted"
    ready.published = False
    ready.app.trace.clear()
    return ready
