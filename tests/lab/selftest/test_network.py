"""Who reaches whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab

SERVER = "backup.example"


@pytest.fixture(scope="module", name="lab")
def fixture_lab() -> Iterator[Lab]:
    """Bring up the world without the product, with every qube running."""
    with Lab.up("bare") as lab:
        for name in ("personal", "vault"):
            lab.do("start", name)
        yield lab


def _opens(lab: Lab, qube: str, host: str, port: int = 22) -> bool:
    command = ["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"]
    return lab.exec(qube, command, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("qube", "reaches"),
    [("work", True), ("personal", True), ("dom0", False), ("vault", False), ("server", True)],
)
def test_only_qubes_with_a_netvm_reach_the_server(lab: Lab, qube: str, reaches: bool) -> None:
    user = "root"
    command = ["timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/198.51.100.10/22"]
    assert (lab.exec(qube, command, user=user, timeout=60).returncode == 0) is reaches


@pytest.mark.parametrize(("qube", "named"), [("work", True), ("vault", False), ("dom0", False)])
def test_only_they_know_its_name(lab: Lab, qube: str, named: bool) -> None:
    found = lab.exec(qube, ["getent", "hosts", SERVER], timeout=60)
    assert (found.returncode == 0) is named


def test_a_qube_does_not_reach_another(lab: Lab) -> None:
    listen = "import socket; s=socket.create_server(('',99)); print('up', flush=True); s.accept()"
    address = lab.exec("personal", ["hostname", "-I"], timeout=60).stdout.decode().split()[0]

    with lab.popen("personal", ["python3", "-c", listen], user="root") as listener:
        assert listener.stdout.readline() == b"up\n"
        assert _opens(lab, "personal", address, 99) is True
    with lab.popen("personal", ["python3", "-c", listen], user="root") as listener:
        assert listener.stdout.readline() == b"up\n"
        assert _opens(lab, "work", address, 99) is False


def test_a_pulled_cable_is_silent_and_can_be_plugged_in_again(lab: Lab) -> None:
    lab.do("net-cut", "work")
    assert _opens(lab, "work", SERVER) is False
    assert _opens(lab, "personal", SERVER) is True

    lab.do("net-restore", "work")

    assert _opens(lab, "work", SERVER) is True


def test_the_network_goes_and_comes_with_the_netvm(lab: Lab) -> None:
    lab.do("kill", "sys-firewall")
    assert _opens(lab, "work", SERVER) is False

    lab.do("start", "sys-firewall")

    assert _opens(lab, "work", SERVER) is True
