"""The recovery record, format 1: what opens one repository, or the account, when all else is gone.

Made by the keyholder, kept by the vault, opened by a worker. All of its values are text that is
checked here; most of them are secret, so they show to nobody who prints the object.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from qborg_borg import spelling
from qborg_borg.slots import HOST_KEY, SLOTS
from qborg_wire import names
from qborg_wire.names import Repository

RECORD_LIMIT = 65536  # bytes
FORMAT = "1"


class RecordRefused(ValueError):
    """Bytes that are no recovery record. The message never repeats them."""


class RecordTooLong(RecordRefused):
    """Values that take more bytes than a record may have."""


class Kind(Enum):
    """What a record opens."""

    REPOSITORY = "repository"
    ACCOUNT = "account"


_SECONDS = re.compile(r"[1-9][0-9]{9,11}")
_EPOCH = re.compile(r"0|[1-9][0-9]{0,14}")
_BORG_KEY = re.compile(r"BORG_KEY [0-9a-f]{64}\n(?:[A-Za-z0-9+/=]{1,128}\n){1,200}")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN OPENSSH PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,70}\n){3,240}"
    r"-----END OPENSSH PRIVATE KEY-----\n"
)
_REGISTRY = re.compile(r"\{[\x20-\x7e\n]*\}\n")

_COMMON = {
    "format": (re.compile(FORMAT), 1),
    "kind": (re.compile("|".join(kind.value for kind in Kind)), 10),
    "repository": (SLOTS["repository"], 48),  # of an account: the maintenance qube's own name
    "made": (_SECONDS, 12),  # seconds since 1970
    "nonce": (names.NONCE, 32),  # so that its digest tells nothing of a guessed passphrase
    "host": (names.HOST, 253),
    "port": (names.PORT, 5),
    "account": (names.ACCOUNT, 32),
    "host_key": (HOST_KEY, 1500),
    "remote_borg": (names.REMOTE_BORG, 32),
}
_OWN = {
    Kind.REPOSITORY: {
        "encryption": (re.compile("repokey-blake2|keyfile-blake2"), 14),
        "passphrase": (SLOTS["passphrase"], 200),
        "private_key": (_PRIVATE_KEY, 8192),
        "public_key": (names.PUBLIC_KEY, 800),
        "key_export": (_BORG_KEY, 16384),
    },
    Kind.ACCOUNT: {
        "machine_id": (names.NONCE, 32),
        "epoch": (_EPOCH, 15),
        "private_key": (_PRIVATE_KEY, 16384),  # the admin's; it may have a passphrase
        "registry": (_REGISTRY, RECORD_LIMIT),
    },
}


@dataclass(frozen=True)
class RecoveryRecord:
    """One record that was checked; `digest` is the sha256 of its bytes in hex."""

    kind: Kind
    repository: Repository
    made: int
    digest: str
    values: Mapping[str, str] = field(repr=False)


def encode(kind: Kind, repository: Repository, values: Mapping[str, str]) -> bytes:
    """Answer the record's bytes; raises RecordRefused, so that none leaves that would not open."""
    record = {**values, "format": FORMAT, "kind": kind.value, "repository": str(repository)}
    data = spelling.spell(record)
    if len(data) > RECORD_LIMIT:
        raise RecordTooLong(f"it takes {len(data)} bytes, and a record has {RECORD_LIMIT}")
    parse(data)
    return data


def parse(untrusted_record: bytes) -> RecoveryRecord:
    """Answer the record that these bytes spell; raises RecordRefused."""
    try:
        untrusted_object = spelling.read(untrusted_record, RECORD_LIMIT)
        kind = Kind(untrusted_object.get("kind"))
    except ValueError as error:
        told = str(error) if isinstance(error, spelling.SpellingRefused) else "of no known kind"
        raise RecordRefused(f"the record: {told}") from None
    expected = _COMMON | _OWN[kind]
    if untrusted_object.keys() != expected.keys():
        raise RecordRefused("other keys than such a record has")
    values: dict[str, str] = {}
    for name, (pattern, limit) in expected.items():
        try:
            values[name] = names.parse(pattern, limit, untrusted_object[name])
        except names.NameRefused:
            raise RecordRefused(f"the record's {name} is malformed") from None
    try:
        repository = names.parse_repository(values["repository"])
    except names.NameRefused:
        raise RecordRefused("the record names no repository") from None
    return RecoveryRecord(
        kind, repository, int(values["made"]), hashlib.sha256(untrusted_record).hexdigest(), values
    )
