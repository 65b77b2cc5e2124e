"""The repositories that this maintenance qube made keys for, and the epoch of publishing.

Runs in the maintenance qube. Public keys only; the truth about who may reach which repository.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, write_private

_LIMIT = 4 << 20


@dataclass(frozen=True)
class Entry:
    """One repository's key: `TYPE BASE64`, its fingerprint, when it was made (seconds, UTC)."""

    public_key: str
    fingerprint: str
    created: int


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

    def live(self) -> dict[str, str]:
        """Answer the public key of each repository that is not revoked."""
        return {
            name: entry.public_key
            for name, entry in sorted(self.repositories.items())
            if entry.fingerprint not in self.revoked
        }


def load(state: State, settings: Settings) -> Registry:
    """Answer the stored registry, an empty one at first; raises settings-differ for another's."""
    try:
        stored = json.loads(read_limited(state.registry, _LIMIT))
    except FileNotFoundError:
        return Registry(settings.machine, settings.machine_id, 0, {}, ())
    if (stored["machine"], stored["machine_id"]) != (settings.machine, settings.machine_id):
        raise ServiceFailure("settings-differ", "the registry here is another computer's")
    return Registry(
        stored["machine"], stored["machine_id"], stored["epoch"],
        {name: Entry(**entry) for name, entry in stored["repositories"].items()},
        tuple(stored["revoked"]),
    )


def check_epoch(known: Registry, published: int | None) -> None:
    """Raise registry-stale if the server was published (None: never) by a newer registry."""
    if published is not None and published > known.epoch:
        raise ServiceFailure("registry-stale", "the server was published by a newer registry")


def store(state: State, registry: Registry) -> None:
    """Write the registry; the caller holds the state's lock."""
    text = json.dumps(dataclasses.asdict(registry), indent=2, sort_keys=True) + "\n"
    write_private(state.registry, text.encode("ascii"))
