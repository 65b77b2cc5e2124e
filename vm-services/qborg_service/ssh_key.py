"""ssh key pairs without passphrase: made, and the public half read out of the private one.

Runs in the maintenance qube and in clients. Private keys stay in their files; this module answers
public ones.
"""

import os
from pathlib import Path

from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_service.files import sync_directory
from qborg_wire import names

_KEYGEN = "/usr/bin/ssh-keygen"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}


def make(private: Path, comment: str) -> None:
    """Make a pair without passphrase at `private` and `private`.pub; neither may exist."""
    argv = [_KEYGEN, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)]
    finished = process.run(argv, stdin=b"", env=_ENVIRONMENT, timeout=30, limit=4096)
    if finished.code != 0:
        raise ServiceFailure("keys-missing", "ssh-keygen could not make a key pair")
    # A key that is published but not on disk after a power cut would lock its owner out.
    for path in (private, private.with_name(f"{private.name}.pub")):
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())
    sync_directory(private.parent)


def public_key(private: Path) -> str:
    """Answer `TYPE BASE64` as derived from the private key itself; raises keys-missing."""
    argv = [_KEYGEN, "-y", "-P", "", "-f", str(private)]
    finished = process.run(argv, stdin=b"", env=_ENVIRONMENT, timeout=30, limit=4096)
    words = finished.stdout.decode("ascii", "replace").split()
    try:
        return names.parse(names.PUBLIC_KEY, 800, " ".join(words[:2]))
    except names.NameRefused as error:
        raise ServiceFailure("keys-missing", f"{private.name}: not a usable key") from error
