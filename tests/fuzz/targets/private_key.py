"""A private key file that a person brings: known by its public half, or refused."""

import base64

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import samples
from qborg_maintenance import private_key
from qborg_wire import names

_SAID = Vocabulary(private_key)


def one(data: bytes) -> str:
    """Hold the parser to its contract for one file."""
    try:
        found = private_key.parse(data)
    except private_key.KeyRefused as refused:
        return _SAID.told(str(refused))
    assert names.PUBLIC_KEY.fullmatch(found.public_key)
    assert type(found.encrypted) is bool
    return f"accepted, {'locked' if found.encrypted else 'open'}"


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def _seed(cipher: bytes, public_key: str) -> bytes:
    blob = base64.b64decode(public_key.split()[1])
    body = b"openssh-key-v1\0" + _string(cipher) + _string(b"bcrypt") + _string(b"salt")
    body += (1).to_bytes(4) + _string(blob) + _string(b"secret")
    text = base64.encodebytes(body)
    return (b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + text
            + b"-----END OPENSSH PRIVATE KEY-----\n")  # fmt: skip


_BLOB = b"\0\0\0\7ssh-rsa\0\0\0\3\1\0\1\0\0\1\1\0" + b"\xbb" * 256
_RSA = "ssh-rsa " + base64.b64encode(_BLOB).decode("ascii")
TARGET = Target(
    "private-key", one,
    (_seed(b"none", samples.ed25519(1)), _seed(b"aes256-ctr", samples.ed25519(2)),
     _seed(b"none", _RSA)),
    (b"-----BEGIN RSA PRIVATE KEY-----", b"openssh-key-v1", b"AAAA", b"=", b"\r\n"),
    Shape.LINES, private_key.LIMIT,
)  # fmt: skip
