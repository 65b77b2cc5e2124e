"""A client's secrets: made once, kept until they are delivered, proved and escrowed.

Runs in the maintenance qube, files 0600 below the state. The passphrase leaves as a Secret only.
"""

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from qborg_borg.bundle import KEY_FILE
from qborg_borg.key_export import KEYFILE, REPOKEY
from qborg_borg.slots import SLOTS
from qborg_maintenance import keypair, registry
from qborg_maintenance.old_keys import OLD_NAME
from qborg_maintenance.registry import HOST, IMPORTED, MADE, Entry, Registry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service import ssh_key
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, sync_directory, write_private
from qborg_service.secret import Secret
from qborg_wire import names
from qborg_wire.names import Repository

_FILE_LIMIT = 8192
_PASSPHRASE_BYTES = 32
_OURS = re.compile("[A-Za-z0-9_-]{43}")  # as many bytes in base64url
_PASSPHRASE = "borgpass"
_URL = "borgrepo"
_EXPORT = "key-export"
_FORMER = "former-name"
_PENDING = ".new."
_GONE = ".gone."


@dataclass(frozen=True)
class ClientKeys:
    """The files of one client: private key, passphrase, exported repository key."""

    folder: Path
    repository: Repository
    imported: bool = False

    @property
    def private(self) -> Path:
        """The private key; beside it lies `.pub`."""
        return self.folder / f"{self.repository}.openssh"

    @property
    def export(self) -> Path:
        """The repository key as exported at its birth."""
        return self.folder / _EXPORT

    @property
    def key_file(self) -> Path:
        """The repository's key as borg itself reads it, if that is no repokey."""
        return self.folder / KEY_FILE

    @property
    def encryption(self) -> str:
        """Borg's word for where the key of a repository that was made is."""
        return KEYFILE if self.key_file.exists() else REPOKEY

    @property
    def record(self) -> Path:
        """The recovery record as it was sent to the vault last."""
        return self.folder / "record"

    def former(self) -> str:
        """Answer the name that an imported repository had before; empty for any other."""
        try:
            data = read_limited(self.folder / _FORMER, _FILE_LIMIT)
            return names.parse(OLD_NAME, 64, data.decode("ascii", "replace"))
        except FileNotFoundError:
            return ""
        except names.NameRefused as error:
            raise ServiceFailure("keys-missing", f"{self.repository}: damaged files") from error

    def passphrase(self) -> Secret:
        """Answer the repository's passphrase."""
        data = read_limited(self.folder / _PASSPHRASE, _FILE_LIMIT).removesuffix(b"\n")
        shape = SLOTS["passphrase"] if self.imported else _OURS
        if shape.fullmatch(data.decode("ascii", "replace")) is None:
            raise ServiceFailure("keys-missing", f"{self.repository}: the passphrase is damaged")
        return Secret(data)

    def private_body(self) -> Secret:
        """Answer the lines of the private key between BEGIN and END."""
        lines = read_limited(self.private, _FILE_LIMIT).strip().split(b"\n")
        return Secret(b"\n".join(lines[1:-1]))


def make(
    state: State, settings: Settings, repository: Repository, origin: str = MADE
) -> tuple[Entry, bool]:
    """Answer the repository's registry entry and whether its keys were made just now.

    What a killed run left is taken up, one of `adoption` too. Raises bad-request for a name that
    must not be, repository-exists for a qube's that is a plain host's, or the other way round, and
    key-revoked.
    """
    with state.locked():
        known = registry.load(state, settings)
        check_name(known.existing(), settings, repository)
        _finish_forgetting(state)
        name = str(repository)
        made = name not in known.repositories
        entry = _made(state, repository, origin) if made else known.repositories[name]
        check_revoked(known, repository, entry)  # its files may come out of a backup
        if (entry.origin == HOST) != (origin == HOST):
            raise ServiceFailure("repository-exists", f"{name} is a plain host's"
                                 if entry.origin == HOST else f"{name} is a qube's")
        if made:
            registry.store(state, known.with_entry(name, entry))
        return entry, made


def _made(state: State, repository: Repository, origin: str) -> Entry:
    """Answer the entry of keys that no registry has; they are made unless they lie there."""
    keys = ClientKeys(state.keys_of(repository), repository)
    if not keys.folder.exists():
        place(state, repository, lambda made: _fill(made, repository))
    former = keys.former()
    key = ssh_key.public_key(keys.private)
    return Entry(key, keypair.fingerprint(key), int(time.time()), former=former,
                 origin=IMPORTED if former else origin)


def set_quota(state: State, settings: Settings, repository: Repository, quota: str) -> Entry:
    """Answer the entry with this quota, `keep` for the one that it has; publishing makes it so."""
    return _amend(state, settings, repository, lambda entry: replace(
        entry, quota=entry.quota if quota == "keep" else quota))  # fmt: skip


def note_birth(
    state: State, settings: Settings, repository: Repository, repository_id: str
) -> None:
    """Write down borg's id of a repository: by it alone the owner's is told from another's."""
    _amend(state, settings, repository, lambda entry: replace(entry, repository_id=repository_id))


def _amend(
    state: State, settings: Settings, repository: Repository, change: Callable[[Entry], Entry]
) -> Entry:
    """Answer the changed entry, written down if the change is one."""
    with state.locked():
        known = registry.load(state, settings)
        entry = known.repositories[str(repository)]
        amended = change(entry)
        if amended != entry:
            registry.store(state, known.with_entry(str(repository), amended))
        return amended


def check_revoked(known: Registry, repository: Repository, entry: Entry) -> None:
    """Raise key-revoked for an entry whose key opens nothing any more."""
    if known.is_revoked(entry):
        raise ServiceFailure("key-revoked", f"{repository} has a revoked key")


def require(state: State, settings: Settings, repository: Repository) -> tuple[Entry, ClientKeys]:
    """Answer the entry and the secrets of a repository; raises keys-missing or key-revoked."""
    known = registry.load(state, settings)
    entry = known.repositories.get(str(repository))
    if entry is not None:
        check_revoked(known, repository, entry)
    keys = ClientKeys(state.keys_of(repository), repository,
                      entry is not None and entry.origin == IMPORTED)
    if entry is None or forgotten(state, repository):
        raise ServiceFailure("keys-missing", f"no secrets of {repository} are in this qube")
    if ssh_key.public_key(keys.private) != entry.public_key:
        raise ServiceFailure("keys-missing", f"{repository}: the key is not the registered one")
    return entry, keys


def forgotten(state: State, repository: Repository) -> bool:
    """Answer whether the secrets of a registered repository are gone from here."""
    return not ClientKeys(state.keys_of(repository), repository).private.exists()


def forget(state: State, settings: Settings, repository: Repository) -> bool:
    """Remove a repository's secrets, not its public key; answers whether there were any.

    They are out of use at once; what a kill then leaves of them, the next call of `make` removes.
    Raises keys-missing for a repository that was never here.
    """
    with state.locked():
        if str(repository) not in registry.load(state, settings).repositories:
            raise ServiceFailure("keys-missing", f"{repository} is not known in this qube")
        there = not forgotten(state, repository)
        if there:
            state.keys_of(repository).rename(state.host_keys / f"{_GONE}{repository}")
            sync_directory(state.host_keys)
        _finish_forgetting(state)
        return there


def _finish_forgetting(state: State) -> None:
    for gone in state.host_keys.glob(f"{_GONE}*"):
        repository = names.parse_repository(gone.name.removeprefix(_GONE))
        private = ClientKeys(gone, repository).private
        public = private.with_name(f"{private.name}.pub")
        if public.exists() and not state.keys_of(repository).exists():
            text = read_limited(public, _FILE_LIMIT)
            place(state, repository, lambda made: write_private(made / public.name, text))
        shutil.rmtree(gone)
        sync_directory(state.host_keys)


def check_name(known: Iterable[str], settings: Settings, repository: Repository) -> None:
    """Raise bad-request for another computer's repository, and one that differs by case only."""
    if repository.machine != settings.machine:
        raise ServiceFailure("bad-request", "the repository is another computer's")
    for name in known:
        if name != str(repository) and name.lower() == str(repository).lower():
            raise ServiceFailure("bad-request", "another repository differs only by case")


def place(state: State, repository: Repository, fill: Callable[[Path], object]) -> None:
    """Have `fill` write a client's files into a directory, which is renamed to its place."""
    state.host_keys.mkdir(mode=0o700, exist_ok=True)
    for killed in state.host_keys.glob(f"{_PENDING}*"):  # by a killed run; nobody can use them
        shutil.rmtree(killed)
    # All files or none, under the final name only when they are on disk.
    made = Path(tempfile.mkdtemp(prefix=_PENDING, dir=state.host_keys))
    try:
        fill(made)
        os.rename(made, state.keys_of(repository))
    except BaseException:
        shutil.rmtree(made)
        with suppress(OSError):  # it holds other keys
            state.host_keys.rmdir()
        raise
    sync_directory(state.host_keys)


def _fill(made: Path, repository: Repository) -> None:
    ssh_key.make(made / f"{repository}.openssh", str(repository))
    passphrase = secrets.token_urlsafe(_PASSPHRASE_BYTES)
    write_texts(made, repository, Secret(passphrase.encode("ascii")))


def write_former(made: Path, name: str) -> None:
    """Write the name that the repository had: by it a killed import is known as one."""
    write_private(made / _FORMER, name.encode("ascii"))


def write_texts(made: Path, repository: Repository, passphrase: Secret) -> None:
    """Write what stands beside a client's key pair: its passphrase and where its repository is."""
    write_private(made / _PASSPHRASE, passphrase.reveal() + b"\n")
    write_private(made / _URL, f"{repository.url}\n".encode("ascii"))
