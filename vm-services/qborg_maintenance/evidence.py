"""What the server shows of a repository without any of its secrets: so far, which key it holds.

Runs in the maintenance qube. A client can change its repository's key; what was exported at the
enrolment tells whether it did.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

from qborg_maintenance.server import Server, configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_wire.names import parse_repository

MISSING = "missing"
# borg 1.x keeps the key in the repository's `config`, continued on lines that begin with a blank.
_KEY = re.compile(rb"^key = ([^\n]*(?:\n[ \t]+[^\n]*)*)$", re.MULTILINE)


def keys(state: State, settings: Settings, names: Iterable[str]) -> list[tuple[str, str]]:
    """Answer each repository and the digest of the key in it, or the word missing.

    Raises ServiceFailure if the account shows no files.
    """
    with (
        state.locked(), configured(settings, state.admin_key) as server, living_session(server),
    ):
        return list(_digests(server, names))


def _digests(server: Server, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        untrusted_config = server.files.read(f"{parse_repository(name).path}/config")
        yield name, key_digest(untrusted_config or b"") or MISSING


def key_digest(untrusted_config: bytes) -> str | None:
    """Answer what qborg_borg.key_export answers of the same key when it is exported."""
    found = _KEY.search(untrusted_config)
    packed = b"".join(found[1].split()) if found else b""
    return hashlib.sha256(packed).hexdigest() if packed else None
