"""What a server shows: a fingerprint of our own making, and never longer than asked."""

import base64
import hashlib
import socket
import subprocess
import time
from pathlib import Path

import pytest

from qborg_client import server
from qborg_service.failure import ServiceFailure
from qborg_wire.names import FINGERPRINT, fingerprint


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


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa"])
def test_the_key_of_a_fingerprint_is_found_among_all_that_are_shown(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    keys = {"ssh-ed25519": f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'Q' * 43}",
            "ssh-rsa": f"ssh-rsa AAAAB3NzaC1yc2EA{'Q' * 352}"}
    shown = "# banner\n" + "".join(f"[h]:23 {each}\n" for each in keys.values())
    monkeypatch.setattr(server, "_scanned", lambda *_asked: shown)

    assert server.host_key_of("h", 23, fingerprint(keys[kind])) == keys[kind]


@pytest.mark.parametrize(("lines", "cause"), [
    ("", "server-unreachable"), ("h ssh-ed25519 AAAA!!!!\n", "server-unreachable"),
    (f"h ssh-rsa {RSA}\n", "host-key-changed"), (f"h ssh-ed25519 {ED25519}\n", "host-key-changed"),
])
def test_another_host_key_than_the_confirmed_one_is_none(
    monkeypatch: pytest.MonkeyPatch, lines: str, cause: str
) -> None:
    monkeypatch.setattr(server, "_scanned", lambda *_asked: lines)

    with pytest.raises(ServiceFailure) as refused:
        server.host_key_of("h", 22, "SHA256:" + "x" * 43)

    assert refused.value.cause == cause


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
