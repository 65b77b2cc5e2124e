"""The old scripts' keys of one repository, taken over with the repository and its archives.

Runs in the maintenance qube. All that could speak against it is asked first, of the directory
and of the server; the repository itself is renamed there by repository.py, before anything else
is done with it.
"""

import time
from pathlib import Path

from qborg_maintenance import authorized_keys, keypair, keys, old_keys, registry, repository
from qborg_maintenance.keys import ClientKeys
from qborg_maintenance.old_keys import OldKeys, refusal
from qborg_maintenance.provider import AWAITED
from qborg_maintenance.publish import read_document
from qborg_maintenance.registry import IMPORTED, Entry, Registry
from qborg_maintenance.server import Server, configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service import ssh_key
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.names import Repository

_WEAK = 2048  # bits of an RSA key


def adopt(state: State, settings: Settings, wanted: Repository, directory: Path) -> bool:
    """Answer whether the keys in a directory were taken over just now, not before.

    Raises import-refused, then nothing was changed.
    """
    with state.locked():
        known = registry.load(state, settings)
        keys.check_name(known.existing(), settings, wanted)
        old = old_keys.read(directory, wanted.qube)
        entry = Entry(old.public_key, keypair.fingerprint(old.public_key), int(time.time()),
                      origin=IMPORTED, former=old.name)
        if not _is_new(known, wanted, entry):
            return False
        if settings.keys == AWAITED:
            raise refusal("the server's list of keys is not ours to write")
        _check_server(state, settings, known, wanted, old)
        if not _is_left(state, wanted, old):
            if state.keys_of(wanted).exists():
                raise refusal(f"there are other keys of {wanted} in this qube")
            keys.place(state, wanted, lambda made: _fill(made, wanted, old, state, settings))
        registry.store(state, known.with_entry(str(wanted), entry))
        return True


def _is_new(known: Registry, wanted: Repository, entry: Entry) -> bool:
    if entry.fingerprint in known.revoked:
        raise refusal("the key was revoked")
    there = known.repositories.get(str(wanted))
    if there is not None:
        if (there.public_key, there.former) != (entry.public_key, entry.former):
            raise refusal(f"{wanted} is enrolled with other keys")
        return False
    if any(each.public_key == entry.public_key for each in known.repositories.values()):
        raise refusal("the key is in use for another qube")
    return True


def _is_left(state: State, wanted: Repository, old: OldKeys) -> bool:
    """Tell whether a killed run has put these very keys in place, and not registered them."""
    left = ClientKeys(state.keys_of(wanted), wanted, imported=True)
    return left.private.exists() and left.former() in ("", old.name) and (
        ssh_key.public_key(left.private), left.passphrase()) == (old.public_key, old.passphrase)


def _check_server(
    state: State, settings: Settings, known: Registry, wanted: Repository, old: OldKeys
) -> None:
    with configured(settings, state.admin_key) as server, living_session(server):
        _current, document = read_document(server, settings)
        rest = authorized_keys.without_old_lines(document, {old.name: old.public_key})
        if rest.has_foreign(old.public_key):
            raise refusal("its key has a line in authorized_keys that the scripts did not write")
        _check_repository(server, wanted, old)


def _check_repository(server: Server, wanted: Repository, old: OldKeys) -> None:
    former = f"repos/{old.name}"
    if not server.files.exists(f"{former}/config"):
        raise refusal(f"the server has no repository {former}")
    if former != wanted.path and server.files.exists(wanted.path):
        raise refusal(f"the server has a {wanted.path} already")
    if server.files.exists(f"{former}/lock.exclusive"):
        raise refusal(f"{former} is in use; if not: `borg break-lock`")


def _fill(
    made: Path, wanted: Repository, old: OldKeys, state: State, settings: Settings
) -> None:
    """Write the files of the old keys as ours are; each must be what it says."""
    private = made / f"{wanted}.openssh"
    write_private(private, old.private.reveal())
    try:
        public_key, bits = keypair.adopt(private, str(wanted))
    except ServiceFailure as failure:
        raise refusal(failure.detail) from failure
    if public_key != old.public_key:
        raise refusal("the private and the public key are no pair")
    if public_key.startswith("ssh-rsa ") and bits < _WEAK:
        raise refusal(f"an RSA key of {bits} bits is too weak")
    keys.write_texts(made, wanted, old.passphrase)
    keys.write_former(made, old.name)
    repository.try_passphrase(state, settings, f"repos/{old.name}", old.passphrase)
