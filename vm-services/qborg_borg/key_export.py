"""What `borg key export` prints: the repository's id, and the key under the passphrase.

Shared by keyholder and vault, which compare the digest of its body. Where a repository's key is a
file and not in the repository, that file holds the very same.
"""

import hashlib
from dataclasses import dataclass

from qborg_wire import names

REPOKEY, KEYFILE = "repokey-blake2", "keyfile-blake2"  # the key in the repository, or a file
_HEADER = "BORG_KEY "


class ExportRefused(ValueError):
    """Bytes that are no exported key. The message never repeats them."""


@dataclass(frozen=True)
class KeyExport:
    """The repository's id and the sha256 of the key's body without white space, both in hex."""

    repository_id: str
    digest: str


def parse(untrusted_export: bytes) -> KeyExport:
    """Answer what an exported key is; raises ExportRefused."""
    header, _newline, body = untrusted_export.decode("ascii", "replace").partition("\n")
    try:
        repository_id = names.parse(names.DIGEST, 64, header.removeprefix(_HEADER).strip())
    except names.NameRefused as error:
        raise ExportRefused("no header of an exported key") from error
    if not header.startswith(_HEADER) or not body.split():
        raise ExportRefused("no exported key")
    packed = "".join(body.split()).encode("ascii", "replace")
    return KeyExport(repository_id, hashlib.sha256(packed).hexdigest())


def slots(export: bytes) -> dict[str, str]:
    """Answer what fills a bundle's key file; raises ExportRefused."""
    body = export.decode("ascii", "replace").strip().partition("\n")[2]
    return {"repository_id": parse(export).repository_id, "borg_key": body}
