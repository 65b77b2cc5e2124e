"""A private key file as OpenSSH writes it: its public half, and whether a passphrase guards it.

Runs in the maintenance qube. The format (PROTOCOL.key of OpenSSH) holds the public half in
clear, so nothing has to be unlocked to know it. The file may be a person's: it is untrusted.
"""

import base64
import binascii
import textwrap
from dataclasses import dataclass

from qborg_wire import names

LIMIT = 16384  # bytes; RSA with 8192 bits takes 6.4 KiB
_BEGIN, _END = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_WIDTH = 70  # characters of a line
_TYPES = frozenset({"ssh-ed25519", "ssh-rsa"})


class KeyRefused(ValueError):
    """A file that we cannot use as a key. The message repeats nothing of it."""


@dataclass(frozen=True)
class Outline:
    """What is known of a private key without its passphrase: `TYPE BASE64`, and is there one."""

    public_key: str
    encrypted: bool


def parse(untrusted_file: bytes) -> Outline:
    """Answer the outline of an OpenSSH private key; raises KeyRefused for anything else."""
    if len(untrusted_file) > LIMIT:
        raise KeyRefused("it is longer than a key")
    lines = untrusted_file.strip().split(b"\n")
    if lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        raise KeyRefused("not in OpenSSH's format; `ssh-keygen -p -f FILE` converts an older key")
    try:
        untrusted_blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except binascii.Error as error:
        raise KeyRefused("it is damaged") from error
    if not untrusted_blob.startswith(_MAGIC):
        raise KeyRefused("it is damaged")
    cipher, rest = _string(untrusted_blob[len(_MAGIC):])
    _kdf, rest = _string(rest)
    _options, rest = _string(rest)
    if rest[:4] != (1).to_bytes(4):
        raise KeyRefused("it does not hold exactly one key")
    untrusted_public, _secret = _string(rest[4:])
    return Outline(_public_key(untrusted_public), cipher != b"none")


def wrapped(file: bytes) -> str:
    """Answer a key that was parsed in lines as long as ssh-keygen's; other programs' differ."""
    first, *lines, last = file.decode("ascii", "replace").strip().split("\n")
    return "\n".join((first.strip(), *textwrap.wrap("".join(lines), _WIDTH), last.strip(), ""))


def _string(untrusted: bytes) -> tuple[bytes, bytes]:
    """Split off one string of ssh's wire format: four bytes of length, then as many bytes."""
    size = int.from_bytes(untrusted[:4])
    if len(untrusted) < 4 + size:
        raise KeyRefused("it is cut")
    return untrusted[4:4 + size], untrusted[4 + size:]


def _public_key(untrusted_public: bytes) -> str:
    kind = _string(untrusted_public)[0].decode("ascii", "replace")
    if kind not in _TYPES:
        raise KeyRefused("neither an ed25519 nor an RSA key")
    try:
        encoded = base64.b64encode(untrusted_public).decode("ascii")
        return names.parse(names.PUBLIC_KEY, 800, f"{kind} {encoded}")
    except names.NameRefused as error:
        raise KeyRefused("an RSA key of a size that is not taken") from error
