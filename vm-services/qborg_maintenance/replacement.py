"""A repository replaced by a new one: the former is kept aside, as that of a qube that is gone.

Runs in the maintenance qube, in two parts with a publication between them: the former key opens
nothing any more before its repository makes room, so that nobody makes another one there with it.
"""

import time
from dataclasses import replace

from qborg_maintenance import deletion, keypair, keys, registry, revocation
from qborg_maintenance.registration import check_key
from qborg_maintenance.registry import CLIENT, DELETED, HOST, KEPT, Entry, Registry
from qborg_maintenance.repository import move, set_unborn_aside
from qborg_maintenance.server import configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository


def begin(
    state: State, settings: Settings, repository: Repository, public_key: str,
    former: Repository, repository_id: str,
) -> bool:
    """Have this key alone in `repository`, and what it had in `former`, revoked; tell if it is new.

    `repository_id`: of the former one, where it is not known here; of the new one, once it is born.
    Raises keys-missing for a repository that is not known here, repository-exists where the former
    name has one of its own and for a plain host's, key-revoked, move-refused for one that nobody
    could tell from another, bad-request for another computer's name, and what check_key raises.
    """
    with state.locked():
        known = registry.load(state, settings)
        fingerprint = check_key(state, known, repository, public_key)
        entry = known.repositories.get(str(repository))
        if entry is None:
            raise ServiceFailure("keys-missing", f"{repository} is not known in this qube")
        keys.check_revoked(known, repository, entry)
        if public_key == entry.public_key:
            return _note_id(state, settings, known, repository, former, repository_id)
        if entry.former != str(former):
            kept = _kept(known, settings, repository, entry, former, repository_id)
            known = known.with_entry(str(former), kept)
            revocation.put_away(state, repository, entry, forget=False)
        # Of a try that was begun, the key that is lost opens nothing either.
        born = Entry(public_key, fingerprint, int(time.time()), entry.quota, CLIENT, str(former))
        revoked = (*known.revoked, *map(keypair.fingerprint, entry.keys()))
        registry.store(state, replace(known.with_entry(str(repository), born),
                                      revoked=tuple(dict.fromkeys(revoked))))
        return True


def _note_id(
    state: State, settings: Settings, known: Registry, repository: Repository,
    former: Repository, repository_id: str,
) -> bool:
    """Note borg's id of the new one; as long as it is not born, dom0 tells the former one's.

    After a recovery neither is known here, and the server shows which one dom0 tells.
    """
    entry, old = known.repositories[str(repository)], known.repositories.get(str(former))
    if entry.repository_id or old is None or repository_id in ("", old.repository_id):
        return False
    name, noted = repository, entry
    if not old.repository_id and _is_former(state, settings, repository, former, repository_id):
        name, noted = former, old
    noted = replace(noted, repository_id=repository_id)
    registry.store(state, known.with_entry(str(name), noted))
    return True


def _is_former(
    state: State, settings: Settings, repository: Repository, former: Repository,
    repository_id: str,
) -> bool:
    """Tell whether that id is the former one's: before it is moved, nothing is where it goes.

    Raises move-refused for what is there and cannot be read, or nowhere.
    """
    with configured(settings, state.admin_key) as server, living_session(server):
        files = server.files
        here, moved = (deletion.borg_id(files, each.path) for each in (repository, former))
        if moved is None and (here != repository_id or files.exists(former.path)):
            raise ServiceFailure("move-refused", f"it is not known which one {repository.path} is")
    return moved in (None, repository_id)


def _kept(
    known: Registry, settings: Settings, repository: Repository, entry: Entry, former: Repository,
    repository_id: str,
) -> Entry:
    """Answer the entry of the repository that is kept; raises what speaks against it."""
    keys.check_name([str(repository)], settings, former)
    if entry.origin == HOST:
        raise ServiceFailure("repository-exists", f"{repository} is a plain host's")
    if str(former) in known.existing():
        raise ServiceFailure("repository-exists", f"{former} has a repository of its own")
    found = entry.repository_id or repository_id
    if not found:
        raise ServiceFailure("move-refused", f"it is not known which one {repository.path} is")
    return replace(entry, repository_id=found, fate=KEPT, next_key="")


def make_room(
    state: State, settings: Settings, repository: Repository, former: Repository
) -> bool:
    """Have the former repository moved aside on the server; answers whether it was moved now.

    What a cut birth left in its place is put aside too. Raises keys-missing before `begin`,
    move-refused where the server does not move it, or has neither.
    """
    with state.locked():
        known = registry.load(state, settings)
        entry, old = (known.repositories.get(str(each)) for each in (repository, former))
        if entry is None or old is None or entry.former != str(former):
            raise ServiceFailure("keys-missing", f"{repository} is not known to be replaced")
        if entry.repository_id:
            return False  # the new one is there, and registered
        with configured(settings, state.admin_key) as server, living_session(server):
            found = [deletion.borg_id(server.files, each.path) for each in (repository, former)]
        if found[0] == old.repository_id:
            move(state, settings, repository.path, former.path)
            return True
        if found[1] != old.repository_id and old.fate != DELETED:
            raise ServiceFailure("move-refused", f"{repository.path} is not the one made here")
        set_unborn_aside(state, settings, repository)
        return False
