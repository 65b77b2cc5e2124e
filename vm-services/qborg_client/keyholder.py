"""This client as its own keyholder: its secrets are made here, and go to the vault alone.

Runs in clients, for an enrolment with `--keys client` and for every rotation. Each part finds out
by itself what a killed run has done already; until the next bundle is adopted the installed one
and what opens the repository now both lie here.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from qborg_borg import birth, host_keys, key_export, record_file
from qborg_borg.bundle import Bundle
from qborg_borg.command import Access
from qborg_borg.key_export import KEYFILE
from qborg_borg.record_file import Escrowed
from qborg_borg.recovery_record import Kind
from qborg_client import (
    generation, identity, installation, next_bundle, relocation, taken_record,
)
from qborg_client.next_bundle import Next
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, write_private
from qborg_wire.names import Repository

_SCAN_SECONDS = 5


@dataclass(frozen=True)
class Prepared:
    """The bundle whose key shall be registered; `pending` until it is adopted."""

    bundle: Bundle
    created: bool
    pending: bool


@taken_record.no_longer_than()
def prepare(
    paths: Paths, repository: Repository, server_of: Mapping[str, str], rotation: str,
    fresh: frozenset[str], continues: Repository | None = None,
) -> Prepared:
    """Answer the bundle in preparation, made now or by a killed run; else the installed one.

    `server_of` says where it leads to: host, port, account, host_key as a fingerprint,
    remote_borg. `continues`: the passphrase is that of the record which was taken of that
    repository, and no bundle that lies here counts. An enrolment goes on with whatever is
    unfinished; for another rotation that raises rotation-unfinished.
    """
    identity.require_lasting()
    identity.require_lasting_home(paths.home)
    if repository.qube != identity.own_qube():
        raise ServiceFailure("not-this-qube", f"{repository} is another qube's")
    generation.check_place(paths)
    found, installed = next_bundle.own(paths, repository, continues), _installed(paths, repository)
    if found is not None:
        if rotation not in (next_bundle.FIRST, found.rotation):
            raise ServiceFailure("rotation-unfinished", "another one was begun here before")
        return Prepared(found.bundle, False, True)
    if installed is not None and next_bundle.is_adopted(paths, rotation):
        return Prepared(installed, False, False)
    values = dict(server_of)
    values["host_key"] = host_keys.of_fingerprint(
        values["host"], values["port"], values["host_key"], _SCAN_SECONDS)
    repository_id = ""
    if continues is not None:
        record = taken_record.required(continues)
        export = birth.parse_export(record.values["key_export"].encode("ascii"))
        repository_id, installed, fresh = export.repository_id, None, frozenset({"key"})
        values["passphrase"] = record.values["passphrase"]
        if record.values["encryption"] == KEYFILE:
            values |= key_export.slots(record.values["key_export"].encode("ascii"))
    elif installed is None:
        fresh = frozenset({"key", "passphrase"})
    made = next_bundle.prepare(
        paths, repository, rotation, values, installed, fresh, repository_id)
    return Prepared(made.bundle, True, True)


def open_repository(
    paths: Paths, repository: Repository, encryption: str, anew: bool = False
) -> tuple[bytes, bool, str]:
    """Have the next bundle open the repository, made or found; answer its exported key.

    Answers also whether it was made now; one to go on with never is. And how it encrypts, which
    is `encryption` if it was. `anew`: the installed bundle's was moved aside, and another one
    shall be in its place. Raises ServiceFailure: repository-exists for another one in its
    place, or borg's cause.
    """
    found, installed = next_bundle.required(paths, repository), _installed(paths, repository)
    created = False
    with _access(found) as access:
        if found.repository_id:
            birth.check(birth.look(access))
        elif anew or installed is None:
            created = birth.make(access, encryption, found.export, lambda: False)
        else:
            old = replace(access, passphrase=installed.passphrase)
            birth.change_passphrase(old, found.bundle.passphrase)
        export = birth.export(access)
    if found.repository_id not in ("", birth.parse_export(export).repository_id):
        raise ServiceFailure("repository-exists", f"{repository.path} is not the one to go on with")
    write_private(found.export, export)
    return export, created, found.encryption


def _installed(paths: Paths, repository: Repository) -> Bundle | None:
    """Answer the installed bundle of this repository; a copy has that of another qube."""
    found = generation.current(paths)
    return found if found is not None and found.repository == repository else None


@contextmanager
def _access(found: Next) -> Iterator[Access]:
    """Lend what opens the repository by the next bundle; borg's notes go at the end."""
    with tempfile.TemporaryDirectory(prefix="qborg-next-", ignore_cleanup_errors=True) as base_dir:
        yield Access(found.bundle.repository.url, found.bundle.remote_borg, found.ssh_command,
                     found.bundle.passphrase, base_dir, key_file=found.key_file)


def record(paths: Paths, repository: Repository) -> Escrowed:
    """Answer the recovery record of the next bundle; raises keys-missing before it has a key."""
    found = next_bundle.required(paths, repository)
    try:
        export = read_limited(found.export, birth.EXPORT_LIMIT)
    except FileNotFoundError as error:
        raise ServiceFailure("keys-missing", f"{repository}: it has no key yet") from error
    bundle = found.bundle
    return record_file.renewed(Kind.REPOSITORY, repository, found.record, {
        "host": bundle.host, "port": bundle.port, "account": bundle.account,
        "host_key": bundle.host_key, "remote_borg": bundle.remote_borg,
        "encryption": found.encryption,
        "passphrase": bundle.passphrase.reveal().decode("ascii"),
        "private_key": record_file.text(bundle.files[f"{repository}.openssh"]),
        "public_key": bundle.public_key,
        "key_export": record_file.text(export),
    })  # fmt: skip


def adopt(paths: Paths, repository: Repository) -> tuple[Bundle, bool, bool]:
    """Make the next bundle the installed one; answer it and what installation.apply answers.

    One that was adopted before is installed. Raises bundle-missing where there is neither.
    """
    found = next_bundle.find(paths)
    if found is None:
        bundle = generation.required(paths)
        identity.require_repository(bundle, repository)
        return bundle, False, False
    identity.require_repository(found.bundle, repository)
    if not found.export.exists():
        raise ServiceFailure("keys-missing", f"{repository}: it was never opened by that bundle")
    bundle = found.finished()
    changed, aside = installation.apply(paths, bundle)
    if found.repository_id:
        relocation.tell_borg(paths, repository, repository_id=found.repository_id)
    next_bundle.close(paths, found)
    return bundle, changed, aside
