"""The host keys that a server shows before anyone trusts it.

Runs in the maintenance qube and in clients. What comes in is the network's word: parsed here, and
believed only for a fingerprint that a person has confirmed.

sshd counts each connection that ends without a login against its address, and refuses that one for
a while (PerSourcePenalties of sshd_config(5), on by default since OpenSSH 9.8). All qubes behind a
netvm are one address: so the preferred kind is asked for alone, and others only without it.
"""

import socket
import threading
from collections.abc import Iterator

from qborg_borg.slots import HOST_KEY
from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_wire.names import fingerprint

_KEYSCAN = "/usr/bin/ssh-keyscan"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}
_PREFERRED, _OTHERS = "ed25519", "ecdsa,rsa"
_ORDER = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
          "ssh-rsa")
_LIMIT = 65536  # bytes
_CONNECT = 8.0  # seconds


def shown(host: str, port: str, seconds: int) -> Iterator[str]:
    """Yield the keys as `TYPE BASE64`, the best type first; none where no ssh answers.

    A connection may take `seconds`.
    """
    found = parse(_scan(host, port, _PREFERRED, seconds))
    yield from found
    if found or _connects(host, port):
        yield from parse(_scan(host, port, _OTHERS, seconds))


def best(host: str, port: str, seconds: int) -> str | None:
    """Answer the key of the best type; None where no ssh answers."""
    return next(shown(host, port, seconds), None)


def of_fingerprint(host: str, port: str, wanted: str, seconds: int) -> str:
    """Answer the key that has a fingerprint; raises server-unreachable or host-key-changed."""
    seen = False
    for key in shown(host, port, seconds):
        seen = True
        if fingerprint(key) == wanted:
            return key
    if not seen:
        raise ServiceFailure("server-unreachable", f"{host} port {port} shows no ssh host key")
    raise ServiceFailure("host-key-changed", "the server shows another key than confirmed")


def parse(untrusted_output: bytes) -> tuple[str, ...]:
    """Answer the well-formed keys of known types in ssh-keyscan's output, best type first."""
    keys = []
    for untrusted_line in untrusted_output.decode("ascii", "replace").split("\n"):
        _host, _space, untrusted_key = untrusted_line.partition(" ")
        if HOST_KEY.fullmatch(untrusted_key) and _has_fingerprint(untrusted_key):
            keys.append(untrusted_key)
    return tuple(sorted(keys, key=lambda key: _ORDER.index(key.split(" ")[0])))


def _has_fingerprint(untrusted_key: str) -> bool:
    try:
        return bool(fingerprint(untrusted_key))
    except ValueError:
        return False


def _scan(host: str, port: str, kinds: str, seconds: int) -> bytes:
    """Answer what ssh-keyscan prints; nothing where it does not end in time."""
    argv = [_KEYSCAN, "-T", str(seconds), "-t", kinds, "-p", port, "--", host]
    try:
        return process.run(argv, stdin=None, env=_ENVIRONMENT, timeout=seconds + 1,
                           limit=_LIMIT).stdout
    except process.ProcessError:
        return b""


def _connects(host: str, port: str) -> bool:
    """Tell whether a TCP connection comes about in time, looking up the name included."""
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT).close()
        except OSError:
            return
        connected.set()

    # The resolver takes no time limit; a thread that it holds ends with this process.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(_CONNECT)
    return connected.is_set()
