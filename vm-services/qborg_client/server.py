"""The server as seen from this qube: does it answer, and which host key does it show.

Runs in clients. What it shows is untrusted: a fingerprint is computed here, dom0 compares it.
"""

import base64
import binascii
import hashlib
import socket
import threading

from qborg_borg.slots import HOST_KEY
from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_wire import names

CONNECT_SECONDS = 8.0
_SCAN_SECONDS = 5
_SSH_KEYSCAN = "/usr/bin/ssh-keyscan"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
              "ecdsa-sha2-nistp521", "ssh-rsa")


def reachable(host: str, port: int, seconds: float = CONNECT_SECONDS) -> bool:
    """Tell whether a TCP connection comes about in time, looking up the name included."""
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
        except OSError:
            return
        connected.set()

    # The resolver takes no time limit; a thread that it holds ends with this process.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(seconds)
    return connected.is_set()


def host_key(host: str, port: int) -> str | None:
    """Answer the fingerprint of the host key that the server shows, ed25519 if it has one."""
    return best_fingerprint(_scanned(host, port))


def host_key_of(host: str, port: int, fingerprint: str) -> str:
    """Answer the host key of that fingerprint, as a known_hosts file spells it.

    Raises server-unreachable, or host-key-changed for a server that does not show it.
    """
    untrusted_lines = _scanned(host, port)
    for untrusted_line in untrusted_lines.split("\n"):
        untrusted_key = " ".join(untrusted_line.split()[1:3])
        if HOST_KEY.fullmatch(untrusted_key) and names.fingerprint(untrusted_key) == fingerprint:
            return untrusted_key
    if best_fingerprint(untrusted_lines) is None:
        raise ServiceFailure("server-unreachable", f"{host} shows no host key here")
    raise ServiceFailure("host-key-changed", "the server shows another one here")


def _scanned(host: str, port: int) -> str:
    """Answer what ssh-keyscan prints, which is nothing where nobody answers."""
    try:
        finished = process.run(
            [_SSH_KEYSCAN, "-T", str(_SCAN_SECONDS), "-p", str(port),
             "-t", "ed25519,ecdsa,rsa", "--", host],
            stdin=None, env=_ENVIRONMENT, timeout=_SCAN_SECONDS + 1, limit=16384,
        )
    except process.ProcessError:
        return ""
    return finished.stdout.decode("ascii", "replace")


def best_fingerprint(untrusted_lines: str) -> str | None:
    """Answer the fingerprint of the preferred key among lines of `host type base64`."""
    found: dict[str, str] = {}
    for untrusted_line in untrusted_lines.split("\n"):
        untrusted_words = untrusted_line.split()
        if len(untrusted_words) >= 3 and untrusted_words[1] in _PREFERRED:
            fingerprint = _fingerprint(untrusted_words[1], untrusted_words[2])
            if fingerprint is not None:
                found.setdefault(untrusted_words[1], fingerprint)
    return next((found[kind] for kind in _PREFERRED if kind in found), None)


def _fingerprint(kind: str, untrusted_base64: str) -> str | None:
    try:
        blob = base64.b64decode(untrusted_base64, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The blob begins with its own type; one that says another was not made by ssh.
    if blob[4 : 4 + len(kind)] != kind.encode("ascii"):
        return None
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"
