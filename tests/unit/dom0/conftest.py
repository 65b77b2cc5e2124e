"""What the tests of dom0 share: a machine of qubes that needs neither Qubes nor qubesadmin."""

from pathlib import Path

import pytest

from unit.dom0.honest import Honest


@pytest.fixture
def machine(tmp_path: Path) -> Honest:
    """Answer a machine that is not set up; its settings and lock lie in a home of its own."""
    policy = tmp_path / "policy.d"
    policy.mkdir()
    return Honest(policy)


@pytest.fixture
def ready(machine: Honest) -> Honest:
    """Answer a machine that is set up, with the running qube `work`."""
    machine.set_up()
    machine.qube("work")
    return machine
