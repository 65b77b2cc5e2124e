"""Looking for a secret where it must not be: on every disk, in every temporary directory."""

import base64
import re

from lab import Lab

_PLACES = ("/home", "/root", "/etc", "/var", "/run", "/tmp", "/dev/shm", "/rw", "/usr/local")


def spellings(secret: bytes) -> list[bytes]:
    """Answer how it could be written: as it is, in hex, in base64, escaped as in JSON or C."""
    escaped = secret.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    whole = len(secret) - len(secret) % 3
    return [*{secret, escaped}, secret.hex().encode(), base64.b64encode(secret[:whole])]


def files_with(lab: Lab, machine: str, needle: bytes, allowed: str = "") -> list[str]:
    """Answer the files of a machine that hold some bytes, the allowed ones left out.

    Each line of them is looked for.
    """
    found = lab.exec(
        machine, ["grep", "-rlaF", "--devices=skip", "-f", "-", *_PLACES], user="root", input=needle
    )
    names = found.stdout.decode("utf-8", "replace").splitlines()
    return [name for name in names if not re.fullmatch(allowed, name.removeprefix("/rw"))]
