"""The host keys that a server shows: the best first, as few connections as will do, no nonsense."""

import base64
import socket
import subprocess
from pathlib import Path

import pytest

from qborg_borg import host_keys
from qborg_service.failure import ServiceFailure
from qborg_wire.names import fingerprint

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "Q" * 43
RSA = "ssh-rsa AAAAB3NzaC1yc2EA" + "A" * 520
ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB" + "A" * 87 + "="


class Server:
    """What it shows of each kind that it is asked for, and how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *keys: str, listens: bool = True) -> None:
        self.keys, self.asked = keys, list[str]()
        monkeypatch.setattr(host_keys, "_scan", self._scan)
        monkeypatch.setattr(host_keys, "_connects", lambda *_asked: listens)

    def _scan(self, _host: str, _port: str, kinds: str, _seconds: int) -> bytes:
        self.asked.append(kinds)
        return "".join(f"[h]:23 {key}\n" for key in self.keys
                       if any(kind in key.split(" ")[0] for kind in kinds.split(","))).encode()


def test_one_that_has_the_best_kind_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """sshd counts each connection without a login against all qubes behind the same netvm."""
    server = Server(monkeypatch, RSA, ED25519)

    assert host_keys.best("h", "23", 5) == ED25519
    assert host_keys.of_fingerprint("h", "23", fingerprint(ED25519), 5) == ED25519
    assert server.asked == ["ed25519"] * 2


def test_without_it_another_kind_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, RSA, ECDSA)

    assert host_keys.best("h", "23", 5) == ECDSA
    assert server.asked == ["ed25519", "ecdsa,rsa"]


@pytest.mark.parametrize("key", [ED25519, ECDSA, RSA], ids=["ed25519", "ecdsa", "rsa"])
def test_the_key_of_a_fingerprint_is_found_among_all(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    Server(monkeypatch, RSA, ECDSA, ED25519)

    assert host_keys.of_fingerprint("h", "23", fingerprint(key), 5) == key


def test_where_nobody_listens_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, RSA, listens=False)

    assert host_keys.best("h", "23", 5) is None
    assert server.asked == ["ed25519"]


@pytest.mark.parametrize(("keys", "cause"), [
    ((), "server-unreachable"), ((RSA,), "host-key-changed"), ((ED25519,), "host-key-changed"),
], ids=["none", "another-kind", "another"])  # fmt: skip
def test_another_key_than_the_confirmed_one_is_none(
    monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], cause: str
) -> None:
    Server(monkeypatch, *keys)

    with pytest.raises(ServiceFailure) as refused:
        host_keys.of_fingerprint("h", "22", "SHA256:" + "x" * 43, 5)

    assert refused.value.cause == cause


def test_the_fingerprint_is_the_one_that_ssh_keygen_tells(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    line = " ".join(path.with_suffix(".pub").read_text().split()[:2])
    told = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True)

    assert [fingerprint(key) for key in host_keys.parse(f"host {line}\n".encode())] == (
        [told.stdout.split()[1]])


def test_a_server_that_never_answers_has_no_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert host_keys.best("127.0.0.1", str(silent.getsockname()[1]), 1) is None


def test_a_closed_port_has_no_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])

    assert host_keys.best("127.0.0.1", port, 1) is None


def test_host_keys_come_best_type_first() -> None:
    shown = f"# h:22 SSH-2.0\nh {RSA}\n[h]:23 {ECDSA}\nh {ED25519}\n".encode()

    assert host_keys.parse(shown) == (ED25519, ECDSA, RSA)


@pytest.mark.parametrize("curve", ["nistp256", "nistp384", "nistp521"])
def test_every_curve_comes_before_rsa(curve: str) -> None:
    parts = (f"ecdsa-sha2-{curve}".encode(), curve.encode(), b"\4" + bytes(96))
    blob = b"".join(len(part).to_bytes(4) + part for part in parts)
    ecdsa = f"ecdsa-sha2-{curve} {base64.b64encode(blob).decode()}"

    assert host_keys.parse(f"h {RSA}\nh {ecdsa}\n".encode()) == (ecdsa, RSA)


SCANS = {
    "empty": b"",
    "error": b"connect to h port 22: Connection refused\n",
    "refused-for-now": b"Not allowed at this time\r\n",
    "html": b"<html>\n",
    "dss": b"h ssh-dss AAAAB3NzaC1kc3MAAACB\n",
    "lying-kind": f"h ssh-ed25519 {RSA.split(' ')[1]}\n".encode(),
    "not-base64": b"h ssh-ed25519 AAAA!!!!\n",
    "another-spelling": f"h {ECDSA[:-2]}B=\n".encode(),
    "certificate": f"@cert-authority h {ED25519}\n".encode(),
    "comment-after": f"h {ED25519} x\n".encode(),
    "cut": f"h {ED25519[:-3]}\n".encode(),
    "carriage-return": f"h {ED25519}\r\n".encode(),
    "nul": f"h {ED25519}\0\n".encode(),
    "no-host": f"{ED25519}\n".encode(),
    "controls": b"h ssh-ed25519 \x1b[31m\n",
    "not-ascii": f"h {ED25519}".encode().replace(b"AAAA", b"A\xffAA", 1),
}


@pytest.mark.parametrize("untrusted_output", SCANS.values(), ids=SCANS)
def test_what_is_no_host_key_is_left_out(untrusted_output: bytes) -> None:
    assert host_keys.parse(untrusted_output) == ()
