"""The key that a client made: published beside the former one, then alone.

Runs in the maintenance qube, which never sees the private half. Between the two parts either key
opens the repository, so a rotation that was cut anywhere leaves one that works.
"""

import time
from dataclasses import replace

from qborg_maintenance import admin_key, keypair, keys, registry
from qborg_maintenance.registry import (
    BY_QUBE, CLIENT, HOST, LEAKED, MIXED, Entry, Registry,
)
from qborg_maintenance.repository import set_unborn_aside
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository


def register(
    state: State, settings: Settings, repository: Repository, public_key: str,
    repository_id: str = "",
) -> bool:
    """Have the key among those that the next publication writes; answers whether that is new.

    `repository_id` is borg's, empty as long as it is not known.
    Raises key-revoked, key-in-use for the admin's key or another repository's, repository-exists
    for a plain host's, bad-request for a name that must not be or one whose secrets are still here.
    """
    with state.locked():
        known = registry.load(state, settings)
        keys.check_name(known.existing(), settings, repository)
        fingerprint = check_key(state, known, repository, public_key)
        entry = known.repositories.get(str(repository))
        if entry is None:
            entry = Entry(public_key, fingerprint, int(time.time()), origin=CLIENT)
            registry.store(state, known.with_entry(str(repository), entry))
            return True
        keys.check_revoked(known, repository, entry)
        if entry.origin == HOST:
            raise ServiceFailure("repository-exists", f"{repository} is a plain host's")
        if entry.origin in BY_QUBE and not (entry.repository_id or repository_id):
            set_unborn_aside(state, settings, repository)
        born = replace(entry, repository_id=entry.repository_id or repository_id)
        if public_key in entry.keys():
            if born != entry:
                registry.store(state, known.with_entry(str(repository), born))
            return born != entry
        if entry.origin not in BY_QUBE and not keys.forgotten(state, repository):
            raise ServiceFailure("bad-request", f"the secrets of {repository} are still here")
        # One that was registered before and never settled is another try's; nobody has it.
        dropped = (keypair.fingerprint(entry.next_key),) if entry.next_key else ()
        changed = known.with_entry(str(repository), replace(born, next_key=public_key))
        registry.store(state, replace(changed, revoked=(*known.revoked, *dropped)))
        return True


def check_key(
    state: State, known: Registry, repository: Repository, public_key: str
) -> str:
    """Answer the fingerprint of a key that a client has shown.

    Raises bad-request for none that ssh takes, key-revoked, and key-in-use for somebody else's:
    either would stop every publication.
    """
    fingerprint = _fingerprint(public_key)
    if keypair.listed_fingerprints(f"{public_key}\n".encode("ascii")) != (fingerprint,):
        raise ServiceFailure("bad-request", f"{repository} has shown what ssh takes for no key")
    if fingerprint in known.revoked:
        raise ServiceFailure("key-revoked", f"{repository} has a revoked key")
    others = [key for name, entry in known.repositories.items() if name != str(repository)
              for key in entry.keys()]
    taken = map(keypair.fingerprint, (*others, admin_key.public_key(state)))
    if fingerprint in taken:
        raise ServiceFailure("key-in-use", f"{repository} has shown a key that is not its own")
    return fingerprint


def settle(
    state: State, settings: Settings, repository: Repository, public_key: str, repository_id: str,
    *, renewed: bool = False,
) -> bool:
    """Have this key alone, the former one revoked; answers whether it was not so.

    The next publication is without that one. `repository_id` is borg's, empty where it is not
    known; `renewed`: the passphrase is another one too. Raises keys-missing for a key that was not
    registered.
    """
    with state.locked():
        known = registry.load(state, settings)
        entry = known.repositories.get(str(repository))
        if entry is None or public_key not in entry.keys():
            raise ServiceFailure("keys-missing", f"this key of {repository} was not registered")
        keys.check_revoked(known, repository, entry)
        born = replace(entry, repository_id=entry.repository_id or repository_id)
        if entry.former in known.repositories:
            born = replace(born, former="")  # what it has replaced is another qube's from now on
        revoked = known.revoked
        if public_key != entry.public_key:
            born = replace(born, public_key=public_key, next_key="",
                           fingerprint=_fingerprint(public_key),
                           origin=CLIENT if renewed or entry.origin not in LEAKED else MIXED)
            revoked = (*revoked, entry.fingerprint)
        settled = replace(known.with_entry(str(repository), born), revoked=revoked)
        if settled != known:
            registry.store(state, settled)
        return settled != known


def _fingerprint(public_key: str) -> str:
    try:
        return keypair.fingerprint(public_key)
    except ValueError as error:
        raise ServiceFailure("bad-request", "that is no public key") from error
