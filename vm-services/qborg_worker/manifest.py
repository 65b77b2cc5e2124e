"""The manifest in an archive: what dom0 said that the qube was when it was backed up.

Runs in workers. A client may have written anything in its place, so that dom0 parses what is
answered here as anybody's.
"""

import re

from qborg_borg import kept, proof
from qborg_borg.command import Access
from qborg_borg.process import OnLook

NO_TEXT = ""  # which dom0 takes for bent, so that a client cannot keep its qube from coming back
_LIMIT = 15000
_TEXT = re.compile(rb"[\n\x20-\x7e]+")


def read(access: Access, archive: str, works: OnLook) -> str | None:
    """Answer the manifest of an archive, NO_TEXT for what cannot be one, None without such a file.

    `works` is called as long as borg reads. Raises ServiceFailure with the cause.
    """
    untrusted_found = proof.read_file(access, archive, kept.MANIFEST, _LIMIT, works)
    return None if untrusted_found is None else parse(untrusted_found)


def parse(untrusted_found: bytes) -> str:
    """Answer the text, NO_TEXT for anything but lines of ASCII."""
    if len(untrusted_found) > _LIMIT or _TEXT.fullmatch(untrusted_found) is None:
        return NO_TEXT
    return untrusted_found.decode("ascii")
