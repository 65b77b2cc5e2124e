"""The birth of a repository: `borg init` through the client's own restricted key, key export.

Runs in the maintenance qube. Borg runs here with a client's secrets at the birth and the import,
and where awaited.py tries a line; its own notes go with a temporary directory.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import birth
from qborg_borg.command import Access
from qborg_maintenance import agent, ssh_config
from qborg_maintenance.connection import SSH
from qborg_maintenance.files import Files
from qborg_maintenance.keys import ClientKeys
from qborg_maintenance.old_keys import refusal
from qborg_maintenance.provider import BORG
from qborg_maintenance.registry import Entry
from qborg_maintenance.server import configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, write_private
from qborg_service.secret import Secret
from qborg_wire.names import Repository

_TRY_SECONDS = 40.0


@dataclass(frozen=True)
class Born:
    """A repository that our passphrase opens: its id, the digest of its exported key."""

    repository_id: str
    key_digest: str
    created: bool


def open_imported(state: State, settings: Settings, keys: ClientKeys, entry: Entry) -> Born:
    """Move an imported repository to its place unless it is there, and export its key.

    Never makes one: its archives are the reason to import. Raises move-refused, or borg's cause.
    """
    move(state, settings, f"repos/{entry.former}", keys.repository.path)
    with opened(settings, keys) as access:
        birth.check(birth.look(access))
        return _export(keys, access, created=False)


def try_passphrase(state: State, settings: Settings, path: str, passphrase: Secret) -> None:
    """Open a repository with the admin key, before it is taken over; raises import-refused."""
    holder = agent.required_by(state.admin_key)
    with ssh_config.written(ssh_config.ADMIN, settings, state.admin_key, holder) as private:
        url = f"ssh://{ssh_config.ADMIN}/./{path}"
        access = _through(settings, private, url, passphrase)
        outcome = birth.look(access, _TRY_SECONDS)
    if outcome.cause is not None:
        raise refusal(f"borg cannot open {path}: {outcome.cause}")


def move(state: State, settings: Settings, former: str, path: str) -> None:
    """Have a repository in its new place; raises move-refused where the server does not do it."""
    if former == path:
        return
    with configured(settings, state.admin_key) as server, living_session(server):
        if not server.files.exists(former):
            return  # moved before, or gone: then borg finds nothing in its place
        # Into a directory that is there, mv would move it, and not in its place.
        if server.files.exists(path):
            raise ServiceFailure("move-refused", f"there is a {path} already, beside {former}")
        if server.files.move(former, path).code != 0:
            raise ServiceFailure("move-refused", f"{former} does not become {path}")


def initialise(state: State, settings: Settings, keys: ClientKeys, encryption: str) -> Born:
    """Make the repository unless it is there, and export its key into the client's secrets.

    Raises ServiceFailure: repository-exists if another passphrase made it, or borg's cause.
    """
    def set_aside() -> bool:
        return not keys.export.exists() and set_unborn_aside(state, settings, keys.repository)

    with opened(settings, keys) as access:
        created = birth.make(access, encryption, keys.export, set_aside)
        return _export(keys, access, created=created)


@contextmanager
def opened(settings: Settings, keys: ClientKeys) -> Iterator[Access]:
    """Lend what opens the repository by the client's own key; borg's notes go at the end."""
    with ssh_config.written(ssh_config.CLIENT, settings, keys.private) as private:
        yield _through(settings, private, keys.repository.url, keys.passphrase(), keys.key_file)


def _through(
    settings: Settings, private: Path, url: str, passphrase: Secret, key_file: Path | None = None
) -> Access:
    return Access(
        url=url, remote_borg=settings.remote_borg, rsh=f"{SSH} -F {private / 'ssh_config'}",
        passphrase=passphrase, base_dir=str(private / "borg"), key_file=key_file,
    )


def _export(keys: ClientKeys, access: Access, *, created: bool) -> Born:
    export = birth.export(access)
    keep(keys, export, created=created)
    exported = birth.parse_export(export)
    return Born(exported.repository_id, exported.digest, created)


def keep(keys: ClientKeys, export: bytes, *, created: bool) -> None:
    """Write the exported key, never over another one: that alone may open older archives.

    A client can put any key in its repository's place. Raises wrong-passphrase for one that is
    not the key of the birth.
    """
    if keys.export.exists():
        known = birth.parse_export(read_limited(keys.export, birth.EXPORT_LIMIT))
        if known != birth.parse_export(export):
            if not created:
                raise ServiceFailure("wrong-passphrase", "its key is not the one of its birth")
            keys.export.rename(keys.export.with_name(f"{keys.export.name}.{known.digest[:16]}"))
    write_private(keys.export, export)


def set_unborn_aside(state: State, settings: Settings, repository: Repository) -> bool:
    """Move what a cut birth left out of the way; False if a backup may ever have gone there."""
    path = repository.path
    if settings.access == BORG:
        return False
    with configured(settings, state.admin_key) as server, living_session(server):
        if not is_unborn(server.files, path):
            return False
        return server.files.move(path, f"{path}.unfinished-{int(time.time())}").code == 0


def is_unborn(files: Files, path: str) -> bool:
    """Tell whether nothing lies there that a backup would have written, and a birth not."""
    if files.exists(f"{path}/transactions"):
        return False
    written = files.names(f"{path}/data") or (), files.names(f"{path}/data/0") or ()
    # The birth itself writes segments 0 and 1, into directory 0.
    return all(map(frozenset({b"0", b"1"}).issuperset, written))
