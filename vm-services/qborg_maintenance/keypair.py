"""Key pairs: taken over, named by fingerprint, seen as ssh sees a list of them.

Runs in the maintenance qube. Private keys stay in their files; this module answers public ones.
"""

import os
from pathlib import Path

from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_service.ssh_key import public_key
from qborg_wire import names

_KEYGEN = "/usr/bin/ssh-keygen"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}

fingerprint = names.fingerprint  # dom0 computes the same from the key that it is told


def adopt(private: Path, comment: str) -> tuple[str, int]:
    """Rewrite a key of any age in OpenSSH's format, with its `.pub`; answers it and its bits.

    Raises keys-missing for one that has a passphrase, or is no key.
    """
    for argv in ([_KEYGEN, "-p", "-P", "", "-N", "", "-f", str(private)],
                 [_KEYGEN, "-l", "-f", str(private)]):
        finished = process.run(argv, stdin=b"", env=_ENVIRONMENT, timeout=30, limit=4096)
        if finished.code != 0:
            raise ServiceFailure("keys-missing", "the key has a passphrase, or is no key")
    key, bits = public_key(private), finished.stdout.split(b" ")[0]
    text = f"{key} {comment}\n"
    write_private(private.with_name(f"{private.name}.pub"), text.encode("ascii"))
    with open(private, "rb") as stream:
        os.fsync(stream.fileno())
    return key, int(bits) if bits.isdigit() else 0


def listed_fingerprints(authorized_keys: bytes) -> tuple[str, ...]:
    """Answer the fingerprints of the lines that ssh itself accepts as keys, in their order."""
    argv = [_KEYGEN, "-l", "-f", "-"]
    finished = process.run(
        argv, stdin=authorized_keys, env=_ENVIRONMENT, timeout=30, limit=1 << 20
    )
    lines = finished.stdout.split(b"\n")
    words = [line.split(b" ") for line in lines if line]
    return tuple(word[1].decode("ascii", "replace") for word in words if len(word) > 1)
