"""The repositories that this maintenance qube made keys for, and the epoch of publishing.

Runs in the maintenance qube. Public keys only; the truth about who may reach which repository.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qborg_maintenance import keypair, registry_text
from qborg_maintenance.old_keys import OLD_NAME
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire import names
from qborg_wire.key_line import NO_QUOTA

MADE, IMPORTED, HOST, CLIENT, MIXED = "made", "imported", "host", "client", "mixed"
LEAKED, BY_QUBE = (IMPORTED, MIXED), (CLIENT, MIXED)
# What became of the repository on the server once its key was revoked.
KEPT, FROZEN, DELETED = "kept", "frozen", "deleted"
_ORIGINS = re.compile(f"{MADE}|{IMPORTED}|{HOST}|{CLIENT}|{MIXED}")
_FATES = re.compile(f"{KEPT}|{FROZEN}|{DELETED}")
_ID = re.compile(f"|{names.DIGEST.pattern}")
_QUOTA = re.compile(f"{NO_QUOTA}|{names.QUOTA.pattern}")
_NEXT = re.compile(f"|{names.PUBLIC_KEY.pattern}")
_FORMER = re.compile(f"|{OLD_NAME.pattern}")
_LIMIT = 4 << 20
_BAD = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
_NUMBERS = 10**15  # above every epoch and every second that a wire's field holds


@dataclass(frozen=True)
class Entry:
    """One repository's key: `TYPE BASE64`, its fingerprint, when it was made (seconds, UTC).

    `origin`: made here for a qube or for a plain host, by the qube itself, or imported; then
    `former` is the name that the repository had. mixed: the qube made the key, and what opens the
    repository is an imported passphrase still. `repository_id` is borg's, empty before the
    birth; `fate` says something of a revoked one only. `next_key` is published too: a rotation is
    under way.
    """

    public_key: str
    fingerprint: str
    created: int
    quota: str = NO_QUOTA
    origin: str = MADE
    former: str = ""
    repository_id: str = ""
    fate: str = KEPT
    next_key: str = ""

    def keys(self) -> tuple[str, ...]:
        """Answer what is published of it: its key, and the one that will replace it."""
        return tuple(filter(None, (self.public_key, self.next_key)))


@dataclass(frozen=True)
class Registry:
    """Every repository by name; `epoch` counts the publications, `revoked` fingerprints stay."""

    machine: str
    machine_id: str
    epoch: int
    repositories: Mapping[str, Entry]
    revoked: tuple[str, ...]

    def with_entry(self, repository: str, entry: Entry) -> "Registry":
        """Answer the registry with one more repository."""
        return dataclasses.replace(self, repositories={**self.repositories, repository: entry})

    def without_entry(self, repository: str) -> "Registry":
        """Answer the registry less one repository."""
        rest = {name: entry for name, entry in self.repositories.items() if name != repository}
        return dataclasses.replace(self, repositories=rest)

    def for_record(self) -> str:
        """Answer its text in the account's record: less what was deleted, and less borg's ids.

        That record is made at a publication, ids come later; one is in its repository's own record.
        """
        kept = dataclasses.replace(self, repositories={
            name: dataclasses.replace(entry, repository_id="")
            for name, entry in self.existing().items()})
        defaults = {each.name: each.default for each in dataclasses.fields(Entry)
                    if each.default is not dataclasses.MISSING}
        return registry_text.short(dataclasses.asdict(kept), defaults)

    def is_revoked(self, entry: Entry) -> bool:
        """Tell whether an entry's key opens nothing any more."""
        return entry.fingerprint in self.revoked

    def existing(self) -> dict[str, Entry]:
        """Answer the repositories that were not deleted here; they may be revoked."""
        return {name: entry for name, entry in self.repositories.items()
                if entry.fate != DELETED or not self.is_revoked(entry)}

    def live(self) -> dict[str, tuple[str, ...]]:
        """Answer the public keys of each repository that is not revoked."""
        return {
            name: tuple(key for key in entry.keys()
                        if keypair.fingerprint(key) not in self.revoked)
            for name, entry in sorted(self.repositories.items())
            if not self.is_revoked(entry)
        }

    def quotas(self) -> dict[str, str]:
        """Answer the quota of each repository."""
        return {name: entry.quota for name, entry in self.repositories.items()}

    def former(self) -> dict[str, str]:
        """Answer the public key of each live imported repository by the name that it had."""
        live = self.live()
        return {self.repositories[name].former: keys[0] for name, keys in live.items()
                if self.repositories[name].origin == IMPORTED}


def load(state: State, settings: Settings) -> Registry:
    """Answer the stored registry, an empty one at first.

    Raises settings-differ for another computer's and for a damaged one.
    """
    try:
        found = _parse(json.loads(read_limited(state.registry, _LIMIT)))
    except FileNotFoundError:
        return Registry(settings.machine, settings.machine_id, 0, {}, ())
    except (FileRefused, *_BAD) as error:
        raise ServiceFailure("settings-differ", "registry.json in that qube is damaged") from error
    return _own(found, settings)


def of_record(settings: Settings, untrusted_text: str, epoch: int) -> Registry:
    """Answer the registry out of the account's recovery record; one typed from paper has none.

    Raises record-refused for a malformed one, settings-differ for another computer's.
    """
    try:
        stored = registry_text.plain(untrusted_text)
        found = _parse(stored) if stored else Registry(
            settings.machine, settings.machine_id, epoch, {}, ())
    except _BAD as error:
        raise ServiceFailure("record-refused", "its registry is malformed") from error
    return _own(found, settings)


def _own(found: Registry, settings: Settings) -> Registry:
    if (found.machine, found.machine_id) != (settings.machine, settings.machine_id):
        raise ServiceFailure("settings-differ", "the registry here is another computer's")
    return found


def _parse(stored: dict[str, Any]) -> Registry:
    entries = {
        str(names.parse_repository(name)): Entry(
            names.parse(names.PUBLIC_KEY, 800, entry["public_key"]),
            names.parse(names.FINGERPRINT, 50, entry["fingerprint"]),
            _number(entry["created"]),
            # Not in files of before 0.1.0.
            names.parse(_QUOTA, 7, entry.get("quota", NO_QUOTA)),
            names.parse(_ORIGINS, 8, entry.get("origin", MADE)),
            names.parse(_FORMER, 64, entry.get("former", "")),
            names.parse(_ID, 64, entry.get("repository_id", "")),
            names.parse(_FATES, 7, entry.get("fate", KEPT)),
            names.parse(_NEXT, 800, entry.get("next_key", "")),
        )
        for name, entry in stored["repositories"].items()
    }
    for entry in entries.values():
        # A revoked key is known by its fingerprint, so that must be the key's own.
        if [*map(keypair.fingerprint, entry.keys())][0] != entry.fingerprint:
            raise ValueError("a fingerprint of another key")
    revoked = tuple(names.parse(names.FINGERPRINT, 50, each) for each in stored["revoked"])
    return Registry(
        names.parse(names.MACHINE, 16, stored["machine"]),
        names.parse(names.NONCE, 32, stored["machine_id"]),
        _number(stored["epoch"]), entries, revoked,
    )


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _NUMBERS:
        raise ValueError("not a number in range")
    return value


def check_epoch(known: Registry, published: int | None) -> None:
    """Raise registry-stale if the server was published (None: never) by a newer registry."""
    if published is not None and published > known.epoch:
        raise ServiceFailure("registry-stale", "the server was published by a newer registry")


def store(state: State, registry: Registry) -> None:
    """Write the registry; the caller holds the state's lock."""
    text = json.dumps(dataclasses.asdict(registry), indent=2, sort_keys=True) + "\n"
    write_private(state.registry, text.encode("ascii"))
