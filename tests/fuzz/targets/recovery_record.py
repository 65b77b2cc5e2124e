"""A recovery record, the account's or a repository's: the one spelling of good values, or refused.

The vault takes it from its keyholder, and a worker, a client and the maintenance qube take it from
the vault.
"""

import base64
import dataclasses
import hashlib
import re

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import samples
from qborg_borg import recovery_record, spelling
from qborg_borg.recovery_record import Kind, RecordRefused
from qborg_wire.names import Repository

_KEY = "".join(f"{'A' * 70}\n" for _line in range(3))
_PRIVATE = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{_KEY}-----END OPENSSH PRIVATE KEY-----\n"
_EXPORT = f"BORG_KEY {samples.DIGEST}\n{base64.b64encode(bytes(range(40))).decode('ascii')}\n"
_COMMON = {
    "made": "1764000000", "nonce": samples.NONCE, "host": "backup.example", "port": "22",
    "account": "zh1", "host_key": samples.ed25519(1), "remote_borg": "borg14",
}  # fmt: skip
_ACCOUNT = {
    **_COMMON, "machine_id": samples.MACHINE_ID, "epoch": "3", "private_key": _PRIVATE,
    "registry": "{}\n",
}  # fmt: skip
_REPOSITORY = {
    **_COMMON, "encryption": "repokey-blake2", "passphrase": "p" * 43, "private_key": _PRIVATE,
    "public_key": samples.ed25519(2), "key_export": _EXPORT,
}  # fmt: skip
# A refusal may name a key of ours, never what stood there.
_KEYS = {"format", "kind", "repository", *_ACCOUNT, *_REPOSITORY}
_SAID = Vocabulary(
    recovery_record, inserts="|".join([Vocabulary(spelling).pattern, "of no known kind", *_KEYS])
)


def account(**changes: str) -> bytes:
    """Answer the record of an account, some values changed."""
    return recovery_record.encode(
        Kind.ACCOUNT, Repository(samples.MACHINE, "keeper"), _ACCOUNT | changes)


def repository(**changes: str) -> bytes:
    """Answer the record of a repository, some values changed."""
    return recovery_record.encode(
        Kind.REPOSITORY, Repository(samples.MACHINE, samples.QUBE), _REPOSITORY | changes)


def one(data: bytes) -> str:
    """Hold the parser to its contract for one record."""
    try:
        found = recovery_record.parse(data)
    except RecordRefused as error:
        return _SAID.told(str(error))
    assert recovery_record.encode(found.kind, found.repository, found.values) == data
    assert found.digest == hashlib.sha256(data).hexdigest()
    assert str(found.made) == found.values["made"]
    # Lines that end in "\n", and nothing that a terminal obeys.
    assert all(re.fullmatch(r"[\x20-\x7e\n]+", value) for value in found.values.values())
    assert repr(found) == repr(dataclasses.replace(found, values={}))
    return f"accepted, of {'an account' if found.kind is Kind.ACCOUNT else 'a repository'}"


TARGET = Target(
    "recovery-record", one,
    (account(), account(epoch="0", registry='{\n "repositories": {}\n}\n', host_key=samples.ECDSA),
     repository(), repository(encryption="keyfile-blake2", host="10.0.0.1", port="2222"),
     repository(passphrase='my own "pass" $(x) %', public_key=samples.RSA)),
    (*samples.WORDS, *(key.encode() for key in sorted(_KEYS)), b"keyfile-blake2", b"BORG_KEY ",
     b"-----END OPENSSH PRIVATE KEY-----\\n", b"\\n", b"\\u000a", b"\\u0000", b"{}\\n",
     b"9999999999", b"999999999999", b"+1764000000", b"NaN", b"1e999"),
    Shape.JSON, recovery_record.RECORD_LIMIT,
)  # fmt: skip
