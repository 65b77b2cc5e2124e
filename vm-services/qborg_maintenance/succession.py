"""A repository that goes on with another qube's key: the former ones are revoked at once.

Runs in the maintenance qube. Whoever had the former keys is gone, or is the same qube under
another name; two qubes never write to one repository.
"""

import time
from dataclasses import replace

from qborg_maintenance import keypair, keys, registry, revocation
from qborg_maintenance.provider import BORG
from qborg_maintenance.registration import check_key
from qborg_maintenance.registry import (
    CLIENT, DELETED, FROZEN, HOST, LEAKED, MIXED, Entry, Registry,
)
from qborg_maintenance.repository import move
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository

_UNKNOWN = Entry("", "", 0)  # has no keys that could be revoked


def continue_with(
    state: State, settings: Settings, repository: Repository, public_key: str,
    former: Repository, repository_id: str,
) -> bool:
    """Have `former`, moved to its new name, under this key alone; answers whether that is new.

    A run that was killed is gone on with. `former` may be unknown here, as the vault's record alone
    tells of it after a recovery by paper: dom0 has proved that this opens it.
    Raises bad-request for another computer's, key-revoked for one in quarantine, repository-exists
    where the new name has one of its own, move-refused where the account can move nothing, and what
    revocation.make_way, registration.check_key and repository.move raise.
    """
    if former != repository:
        if settings.access == BORG:
            raise ServiceFailure("move-refused", f"the account has no command that moves {former}")
        revocation.make_way(state, settings, repository)
    with state.locked():
        known = registry.load(state, settings)
        check_key(state, known, repository, public_key)
        entry = known.repositories.get(str(repository))
        if entry is None or public_key != entry.public_key:
            old = _former(known, repository, former, entry)
            _check(known, settings, repository, former, old)
            born = Entry(
                public_key, keypair.fingerprint(public_key), int(time.time()), old.quota,
                MIXED if old.origin in LEAKED else CLIENT,  # its passphrase stays
                str(former) if former != repository else old.former, old.repository_id)
            # Of a rotation that was cut, this one may be registered as the next one already.
            others = (key for key in old.keys() if key != public_key)
            revoked = (*known.revoked, *map(keypair.fingerprint, others))
            revocation.put_away(state, former, old, forget=False)
            changed = known.without_entry(str(former)).with_entry(str(repository), born)
            registry.store(state, replace(changed, revoked=tuple(dict.fromkeys(revoked))))
            move(state, settings, former.path, repository.path)
            return True
        move(state, settings, former.path, repository.path)
        named = replace(entry, repository_id=entry.repository_id or repository_id)
        if named != entry:
            registry.store(state, known.with_entry(str(repository), named))
        return named != entry


def _former(
    known: Registry, repository: Repository, former: Repository, entry: Entry | None
) -> Entry:
    """Answer the entry to go on with: a lost try has put it under its new name already."""
    old = known.repositories.get(str(former))
    if old is None and entry is not None and entry.former == str(former):
        return entry
    if entry is not None and former != repository:
        raise ServiceFailure("repository-exists", f"{repository} has a repository of its own")
    return old or _UNKNOWN


def _check(
    known: Registry, settings: Settings, repository: Repository, former: Repository, old: Entry
) -> None:
    others = [name for name in known.existing() if name != str(former)]
    keys.check_name(others, settings, repository)
    keys.check_name((), settings, former)
    if old.origin == HOST:
        raise ServiceFailure("repository-exists", f"{former} is a plain host's")
    if known.is_revoked(old) and old.fate == FROZEN:
        raise ServiceFailure("key-revoked", f"{former} is in quarantine")
    if known.is_revoked(old) and old.fate == DELETED:
        raise ServiceFailure("repository-missing", f"{former} was deleted")
