"""What a server shows: a fingerprint of our own making, and never longer than asked."""

import base64
import hashlib
import socket
import subprocess
import time
from pathlib import Path

import pytest

from qborg_client import server
from qborg_wire.names import FINGERPRINT


def key(kind: str, fill: bytes = b"x") -> str:
    """Answer the base64 of a blob that says it is of a kind."""
    blob = len(kind).to_bytes(4) + kind.encode() + fill * 32
    return base64.b64encode(blob).decode()


ED25519, RSA = key("ssh-ed25519"), key("ssh-rsa")


def test_the_fingerprint_is_the_one_that_ssh_keygen_tells(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    kind, blob = path.with_suffix(".pub").read_text().split()[:2]
    told = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True)

    assert server.best_fingerprint(f"host {kind} {blob}\n") == told.stdout.split()[1]


def test_ed25519_is_preferred_wherever_it_stands() -> None:
    lines = f"h ssh-rsa {RSA}\nh ssh-ed25519 {ED25519}\n"

    assert server.best_fingerprint(lines) == server.best_fingerprint(f"h ssh-ed25519 {ED25519}\n")


def test_without_it_another_kind_will_do() -> None:
    found = server.best_fingerprint(f"# banner\nh ssh-rsa {RSA}\n")

    assert found is not None and FINGERPRINT.fullmatch(found)
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(RSA)).digest()).decode()
    assert found == f"SHA256:{digest.rstrip('=')}"


NOTHING = {
    "empty": "",
    "comment": "# host:22 SSH-2.0-OpenSSH\n",
    "unknown-kind": f"h ssh-dss {key('ssh-dss')}\n",
    "lying-kind": f"h ssh-ed25519 {RSA}\n",
    "not-base64": "h ssh-ed25519 AAAA!!!!\n",
    "cut": "h ssh-ed25519\n",
    "controls": "h ssh-ed25519 \x1b[31m\n",
}


@pytest.mark.parametrize("lines", NOTHING.values(), ids=NOTHING)
def test_what_is_no_key_has_no_fingerprint(lines: str) -> None:
    assert server.best_fingerprint(lines) is None


def test_a_listening_port_is_reachable_and_a_closed_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert server.reachable("127.0.0.1", port)

    assert not server.reachable("127.0.0.1", port)


def test_a_server_that_never_answers_has_no_key_and_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()

        assert server.host_key("127.0.0.1", silent.getsockname()[1]) is None

    assert time.monotonic() - started < 9
