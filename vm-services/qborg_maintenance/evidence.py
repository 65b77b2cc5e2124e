"""What the server shows of a repository without any of its secrets, and whose key opens it.

Runs in the maintenance qube. A client can change its repository's key; what was exported at the
enrolment tells whether it did. What an account does not show is unknown, and never guessed.
"""

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qborg_maintenance import registry, seen, segments
from qborg_maintenance.bulk import Bulk, Listing, grouped
from qborg_maintenance.files import BLOCK
from qborg_maintenance.provider import BORG
from qborg_maintenance.registry import LEAKED, Registry
from qborg_maintenance.seen import UNCLEAR, Seen
from qborg_maintenance.segments import Log
from qborg_maintenance.server import configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_wire.names import parse_repository

MISSING, NONE, REVOKED, UNKNOWN = "missing", "none", "revoked", "unknown"
KEYS, ALL, ACCEPT = "keys", "all", "accept"
# borg 1.x keeps the key in the repository's `config`, continued on lines that begin with a blank.
_KEY = re.compile(rb"^key = ([^\n]*(?:\n[ \t]+[^\n]*)*)$", re.MULTILINE)
# Names in a repository's directory and in its `data`, and segments whose lists are asked for at
# once, as far as they can be guessed; bytes of a `config` that are read.
_NAMES, _FOLDERS, _SEGMENTS, _CONFIG = 12, 6, 2000, 16 * BLOCK
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
    log: Log | None = None
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

    Of an account that serves borg alone nothing is known. A look may be a timer's, so nobody is
    asked for the admin key's passphrase but to `accept`. Raises ServiceFailure.
    """
    end = time.monotonic() + _SECONDS
    with state.locked():
        known = registry.load(state, settings)
        if settings.access == BORG:
            return [Evidence(name, *_registered(known, name)) for name in names]
        before = seen.load(state)
        with (
            configured(settings, state.admin_key, asks=look == ACCEPT) as server,
            living_session(server),
        ):
            found = gather(Bulk(server.files, end), known, names, look, before)
        if look != KEYS:
            seen.store(state, before)
        return found


def gather(
    bulk: Bulk, known: Registry, names: Sequence[str], look: str, before: dict[str, Seen]
) -> list[Evidence]:
    """Answer the evidence of each; `before` learns what was seen.

    What there is no time for is unclear, and comes first at the next look.
    """
    found = {name: Evidence(name, *_registered(known, name), found=UNCLEAR) for name in names}
    order = sorted(found, key=lambda name: before[name].when if name in before else 0)
    count = bulk.files.AT_ONCE // 2  # two lists of each
    for begin in range(0, len(order), count):
        some = {parse_repository(name).path: found[name] for name in order[begin : begin + count]}
        for each in _looked(bulk, some, look, before):
            found[each.name] = each
    return [found[name] for name in names]


def _looked(
    bulk: Bulk, some: Mapping[str, Evidence], look: str, before: dict[str, Seen]
) -> Iterator[Evidence]:
    """Yield what there is time for of some repositories, which are known by their paths."""
    inside = {} if look == KEYS else {f"{path}/data": _FOLDERS for path in some}
    lists = bulk.listings(dict.fromkeys(some, _NAMES) | inside)
    untrusted_configs = _configs(bulk, some, lists)
    told = {path: replace(some[path], key=key_digest(config),
                          found=UNCLEAR if look != KEYS and segments.ID.search(config) else UNKNOWN)
            for path, config in untrusted_configs.items()}
    heads = {} if look == KEYS else segments.heads(bulk, lists, untrusted_configs)
    yield from (each for path, each in told.items() if path not in heads)
    costs = {path: sum(head.expected.values()) for path, head in heads.items()}
    for group in grouped(costs, _SEGMENTS, len(costs)):
        logs = segments.logs(bulk, [heads[path] for path in group], int(time.time()))
        yield from (told[path] for path in group if path not in logs)
        pairs = [(told[path], log) for path, log in logs.items()]
        yield from _compared(bulk, pairs, look, before)


def _configs(
    bulk: Bulk, paths: Iterable[str], lists: Mapping[str, Listing]
) -> dict[str, bytes]:
    """Answer the configuration of each repository, nothing of one that has none."""
    sizes = {f"{path}/config": lists[path].sizes.get("config", 0) if path in lists else 0
             for path in paths}
    found = bulk.contents(sizes, _CONFIG)
    return {path.removesuffix("/config"): untrusted for path, untrusted in found.items()}


def _compared(
    bulk: Bulk, pairs: Sequence[tuple[Evidence, Log]], look: str, before: dict[str, Seen]
) -> Iterator[Evidence]:
    """Yield what became of repositories since they were seen last."""
    lasts = [_last(each, log, look, before) for each, log in pairs]
    searches = segments.search(bulk, [
        (log, last.looked) for (_each, log), last in zip(pairs, lasts, strict=True)])
    now = int(time.time())
    for (each, log), last, search in zip(pairs, lasts, searches, strict=True):
        got_on = search.until > last.looked or search.until == log.transaction
        when = now if got_on or not bulk.is_over else last.when
        before[each.name] = replace(last.with_log(log, search), when=when)
        yield replace(each, log=log, found=last.finds(log, search))


def _last(each: Evidence, log: Log, look: str, before: Mapping[str, Seen]) -> Seen:
    last = before.get(each.name)
    # The old scripts have pruned: what is there at the first look is where it begins.
    if look == ACCEPT or last is None and each.origin in LEAKED:
        return seen.accepted(log)
    return last if last and last.repository_id == log.repository_id else Seen(log.repository_id)


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
