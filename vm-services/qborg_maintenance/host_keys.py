"""The host keys that the server shows before anyone trusts it.

Runs in the maintenance qube. What comes in is the network's word: parsed, then confirmed by a
person through its fingerprint.
"""

from qborg_borg.slots import HOST_KEY
from qborg_service import process
from qborg_service.failure import ServiceFailure

_KEYSCAN = "/usr/bin/ssh-keyscan"
# The first shown is preferred; the client's list has the same order, as dom0 compares both.
_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
          "ssh-rsa")
_LIMIT = 65536


def scan(host: str, port: str) -> tuple[str, ...]:
    """Answer the keys shown as `TYPE BASE64`, best type first; raises server-unreachable."""
    argv = [_KEYSCAN, "-T", "15", "-t", "ed25519,ecdsa,rsa", "-p", port, "--", host]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C"}
    try:
        finished = process.run(argv, stdin=None, env=environment, timeout=60, limit=_LIMIT)
    except process.ProcessError as error:
        raise ServiceFailure("server-unreachable", f"{host} port {port}: {error}") from error
    keys = parse_scan(finished.stdout)
    if not keys:
        raise ServiceFailure("server-unreachable", f"{host} port {port} shows no ssh host key")
    return keys


def parse_scan(untrusted_output: bytes) -> tuple[str, ...]:
    """Answer the well-formed keys of known types in ssh-keyscan's output, best type first."""
    keys = []
    for untrusted_line in untrusted_output.decode("ascii", "replace").split("\n"):
        _host, _space, untrusted_key = untrusted_line.partition(" ")
        if HOST_KEY.fullmatch(untrusted_key) and untrusted_key.split(" ")[0] in _TYPES:
            keys.append(untrusted_key)
    return tuple(sorted(keys, key=lambda key: _TYPES.index(key.split(" ")[0])))
