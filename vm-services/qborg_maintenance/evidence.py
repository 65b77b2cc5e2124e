"""What the server shows of a repository without any of its secrets, and whose key opens it.

Runs in the maintenance qube. A client can change its repository's key; what was exported at the
enrolment tells whether it did. What an account does not show is unknown, and never guessed.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qborg_maintenance import registry, seen, segments
from qborg_maintenance.files import Files
from qborg_maintenance.provider import BORG
from qborg_maintenance.registry import LEAKED, Registry
from qborg_maintenance.seen import UNCLEAR, Seen
from qborg_maintenance.server import configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import parse_repository

MISSING, NONE, REVOKED, UNKNOWN = "missing", "none", "revoked", "unknown"
KEYS, ALL, ACCEPT = "keys", "all", "accept"
# borg 1.x keeps the key in the repository's `config`, continued on lines that begin with a blank.
_KEY = re.compile(rb"^key = ([^\n]*(?:\n[ \t]+[^\n]*)*)$", re.MULTILINE)
_ID = re.compile(rb"^id = ([0-9a-f]{64})$", re.MULTILINE)
_SECONDS = 80.0  # after which what was not looked at yet is unknown; a call has 120
_MOST = 10**15 - 1  # that a number of the wire's can be


@dataclass(frozen=True)
class Evidence:
    """One repository: the registry's word for its key, and what the server shows.

    `key`: the digest of the key in it, none, missing or unknown. `found`: what became of it since
    the last look; unclear, if the server does not show enough to tell.
    """

    name: str
    origin: str
    fingerprint: str
    key: str = UNKNOWN
    log: segments.Log | None = None
    found: str = UNKNOWN

    def __str__(self) -> str:
        """Answer its one word in the reply."""
        log = self.log
        numbers = (log.transaction, log.time, log.size, log.grown) if log else (None,) * 4
        told = (UNKNOWN if number is None else str(min(number, _MOST)) for number in numbers)
        return ",".join((self.name, self.origin, self.fingerprint, self.key, *told, self.found))


def observe(
    state: State, settings: Settings, names: Sequence[str], look: str
) -> list[Evidence]:
    """Answer the evidence of each repository: its key alone, or all; `accept` it as it is now.

    Of an account that serves borg alone nothing is known. A look at all may be a timer's, so it
    asks nobody for the admin key's passphrase. Raises ServiceFailure.
    """
    with state.locked():
        known = registry.load(state, settings)
        if settings.access == BORG:
            return [Evidence(name, *_registered(known, name)) for name in names]
        before = seen.load(state)
        with (
            configured(settings, state.admin_key, asks=look != ALL) as server,
            living_session(server),
        ):
            found = list(gather(server.files, known, names, look, before))
        if look != KEYS:
            seen.store(state, before)
        return found


def gather(
    files: Files, known: Registry, names: Sequence[str], look: str, before: dict[str, Seen]
) -> Iterator[Evidence]:
    """Yield the evidence of each; `before` learns what was seen."""
    end = time.monotonic() + _SECONDS
    for name in names:
        origin, fingerprint = _registered(known, name)
        # The old scripts have pruned: what is there at the first look is where it begins.
        first = look == ALL and origin in LEAKED and name not in before
        told = _look(files, name, ACCEPT if first else look, before) if (
            time.monotonic() < end) else (UNKNOWN, None, UNCLEAR)
        yield Evidence(name, origin, fingerprint, *told)


def _look(
    files: Files, name: str, look: str, before: dict[str, Seen]
) -> tuple[str, segments.Log | None, str]:
    path = parse_repository(name).path
    untrusted_config = files.read(f"{path}/config") or b""
    key, born = key_digest(untrusted_config), _ID.search(untrusted_config)
    log = _log(files, path, untrusted_config) if born and look != KEYS else None
    if born is None or log is None:
        return key, None, UNCLEAR if born and look != KEYS else UNKNOWN
    repository_id = born[1].decode("ascii")
    last = before.get(name)
    if look == ACCEPT:
        last = seen.accepted(log, repository_id)
    elif last is None or last.repository_id != repository_id:
        last = Seen(repository_id)
    deleted = segments.deleted(files, log, last.looked)
    before[name] = last.with_log(log, deleted)
    return key, log, last.finds(log, deleted)


def _log(files: Files, path: str, untrusted_config: bytes) -> segments.Log | None:
    try:
        return segments.read(files, path, untrusted_config, int(time.time()))
    except ServiceFailure as failure:
        if failure.cause != "publish-refused":  # a list longer than we read
            raise
        return None


def _registered(known: Registry, name: str) -> tuple[str, str]:
    """Answer how the key came about that opens it, and that key's fingerprint."""
    entry = known.repositories.get(name)
    if entry is None or known.is_revoked(entry):
        return REVOKED if entry else NONE, NONE
    return entry.origin, entry.fingerprint


def key_digest(untrusted_config: bytes) -> str:
    """Answer what qborg_borg.key_export answers of the same key when it is exported."""
    found = _KEY.search(untrusted_config)
    packed = b"".join(found[1].split()) if found else b""
    if packed:
        return hashlib.sha256(packed).hexdigest()
    return NONE if untrusted_config.startswith(b"[repository]") else MISSING
