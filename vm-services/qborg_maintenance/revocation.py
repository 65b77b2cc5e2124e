"""A revoked key: never published again, tried at the server, its secrets and repository put away.

Runs in the maintenance qube, in two parts with a publication between them: nothing is put away
before the key opens nothing any more.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from qborg_maintenance import deletion, key_offer, keypair, keys, registry
from qborg_maintenance.deletion import kept
from qborg_maintenance.provider import BORG
from qborg_maintenance.registry import DELETED, FROZEN, KEPT, Entry
from qborg_maintenance.server import configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import sync_directory
from qborg_wire.names import Repository

UNASKED, TAKEN, REFUSED = "unasked", "taken", "refused"
REMOVED, NONE, MISSING = "removed", "none", "missing"


@dataclass(frozen=True)
class Revoked:
    """What is so now: the entry, None if there never was one; what became of its things.

    `key` is refused by the server, unasked, or taken still: then nothing else was done. `missing`:
    a repository that should have been deleted and was not there.
    """

    entry: Entry | None
    changed: bool = False
    key: str = UNASKED
    secrets: str = NONE
    repository: str = KEPT


def mark(
    state: State, settings: Settings, repository: Repository, fate: str | None, delete: bool
) -> Revoked:
    """Have the key revoked in the registry; the next publication leaves it out.

    `fate` is kept or frozen, None as it is. Raises repository-kept, and then nothing is changed,
    if it shall be deleted and must not be.
    """
    with state.locked():
        known = registry.load(state, settings)
        entry = known.repositories.get(str(repository))
        if entry is None:
            return Revoked(None)
        if known.is_revoked(entry) and entry.fate == DELETED:
            return Revoked(entry, repository=DELETED)
        wanted = replace(entry, fate=fate or entry.fate)
        if delete:
            _check_deletion(settings, repository, wanted)
            with configured(settings, state.admin_key) as server, living_session(server):
                deletion.is_ours(server.files, repository, wanted.repository_id)
        fingerprints = map(keypair.fingerprint, entry.keys())
        revoked = tuple(dict.fromkeys((*known.revoked, *fingerprints)))
        marked = replace(known.with_entry(str(repository), wanted), revoked=revoked)
        if marked != known:
            registry.store(state, marked)
        return Revoked(wanted, marked != known, repository=wanted.fate)


def finish(
    state: State, settings: Settings, repository: Repository, forget: bool, delete: bool,
    works: Callable[[], None],
) -> Revoked:
    """Put away what a revoked key leaves, once no login by it is possible any more.

    Its secrets are removed, or kept aside where they may be all that opens the repository.
    `works` is called while much is deleted. Raises bad-request for a key that is not revoked.
    """
    with state.locked():
        known = registry.load(state, settings)
        entry = known.repositories.get(str(repository))
        if entry is None:
            return Revoked(None)
        if not known.is_revoked(entry):
            raise ServiceFailure("bad-request", f"the key of {repository} is not revoked")
        if any(key_offer.is_taken(settings, key) for key in entry.keys()):
            return Revoked(entry, key=TAKEN, repository=entry.fate)
        fate, found = entry.fate, entry.fate
        if delete and fate != DELETED:
            found = DELETED if _delete(state, settings, repository, entry, works) else MISSING
            entry = replace(entry, fate=DELETED)
            registry.store(state, known.with_entry(str(repository), entry))
        # After it: as long as there is a repository, somebody has to be able to open it.
        moved, secrets = put_away(state, repository, entry, forget or entry.fate == DELETED)
        return Revoked(entry, moved or entry.fate != fate, REFUSED, secrets, found)


def _delete(
    state: State, settings: Settings, repository: Repository, entry: Entry,
    works: Callable[[], None],
) -> bool:
    _check_deletion(settings, repository, entry)
    with configured(settings, state.admin_key) as server, living_session(server):
        return deletion.delete(server.files, repository, entry.repository_id, works)


def make_way(state: State, settings: Settings, repository: Repository) -> None:
    """Drop a revoked entry whose repository is not on the server: its name is free for another.

    Raises key-revoked as long as it is there, or in quarantine.
    """
    with state.locked():
        known = registry.load(state, settings)
        entry = known.repositories.get(str(repository))
        if entry is None or not known.is_revoked(entry):
            return
        if entry.fate == FROZEN:
            raise ServiceFailure("key-revoked", f"{repository} is in quarantine")
        if entry.fate == KEPT and _is_there(state, settings, repository):
            raise ServiceFailure("key-revoked", f"{repository} is on the server")
        put_away(state, repository, entry, forget=False)
        registry.store(state, known.without_entry(str(repository)))


def _is_there(state: State, settings: Settings, repository: Repository) -> bool:
    if settings.access == BORG:
        return False  # it cannot be looked for, and `borg init` refuses what it finds
    with configured(settings, state.admin_key) as server, living_session(server):
        return server.files.exists(repository.path)


def put_away(
    state: State, repository: Repository, entry: Entry, forget: bool
) -> tuple[bool, str]:
    """Have a revoked key's secrets removed, or kept aside where they may be all that opens it.

    Answers whether anything was moved or removed, and what became of them.
    """
    live = state.keys_of(repository)
    aside = state.revoked_keys / f"{repository}.{entry.created}"
    holds = live.exists() and not keys.forgotten(state, repository)
    if holds and not forget:
        state.revoked_keys.mkdir(mode=0o700, exist_ok=True)
        live.rename(aside)
        sync_directory(state.revoked_keys)
        return True, KEPT
    if not forget:
        _remove(live)
        return False, KEPT if aside.exists() else NONE
    had = holds or aside.exists()
    for folder in (live, aside):
        _remove(folder)
    return had, REMOVED if had else NONE


def _remove(folder: Path) -> None:
    """Remove a directory of secrets: under another name first, so that none is half there."""
    gone = folder.with_name(f".revoked.{folder.name}")
    if folder.exists():
        folder.rename(gone)
    if gone.exists():
        shutil.rmtree(gone)
        sync_directory(gone.parent)


def _check_deletion(settings: Settings, repository: Repository, entry: Entry) -> None:
    if entry.fate == FROZEN:
        raise kept(f"{repository} is in quarantine")
    if settings.access == BORG:
        raise kept("the account has no command that could delete it")
