"""The server and this computer's identity, as confirmed at set-up.

Runs in the maintenance qube. Nothing here is secret.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from qborg_borg.slots import HOST_KEY
from qborg_maintenance import keypair, provider
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire import names

_LIMIT = 16384
# What the set-up found; an older file lacks it, and then the account had all of it.
_FOUND = {"access": provider.SHELL, "keys": provider.OURS, "snapshots": provider.UNKNOWN}
_PATTERNS = {
    "machine": (names.MACHINE, 16), "machine_id": (names.NONCE, 32), "host": (names.HOST, 253),
    "port": (names.PORT, 5), "account": (names.ACCOUNT, 32), "host_key": (HOST_KEY, 1500),
    "remote_borg": (names.REMOTE_BORG, 32),
    "access": (re.compile("shell|sftp|borg"), 5), "keys": (re.compile("ours|awaited"), 7),
    "snapshots": (re.compile("yes|no|unknown"), 7),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Which computer this is and which account it uses.

    `host_key` is `TYPE BASE64` as the server showed it and the user confirmed it;
    `remote_borg` the program name that the server knows borg by; `access`, `keys` and `snapshots`
    what the account was found to offer, in the words of provider.py.
    """

    machine: str
    machine_id: str
    host: str
    port: str
    account: str
    host_key: str
    remote_borg: str
    access: str = _FOUND["access"]
    keys: str = _FOUND["keys"]
    snapshots: str = _FOUND["snapshots"]

    @property
    def fingerprint(self) -> str:
        """The host key's `SHA256:...`."""
        return keypair.fingerprint(self.host_key)

    @property
    def provider(self) -> provider.Provider:
        """What is known of the account by its host's name."""
        return provider.of_host(self.host)

    def same_place(self, other: "Settings") -> bool:
        """Tell whether both are the same computer and the same account of the same server."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("machine", "machine_id", "host", "port", "account")
        )


def load(state: State) -> Settings | None:
    """Answer the stored settings, None before set-up; raises settings-differ for a damaged file."""
    return _read(state.settings)


def load_pending(state: State) -> Settings | None:
    """Answer the settings that a first login waits with, None if none does."""
    return _read(state.pending)


def _read(path: Path) -> Settings | None:
    try:
        found = {**_FOUND, **json.loads(read_limited(path, _LIMIT))}
        if found.keys() != _PATTERNS.keys():
            raise names.NameRefused("other keys than the settings have")
        settings = Settings(**{key: names.parse(*_PATTERNS[key], found[key]) for key in found})
        keypair.fingerprint(settings.host_key)  # raises if it only looks like a key
        return settings
    except FileNotFoundError:
        return None
    except (FileRefused, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ServiceFailure("settings-differ", f"{path.name} in that qube is damaged") from error


def require(state: State) -> Settings:
    """Answer the stored settings; raises settings-missing before set-up."""
    settings = load(state)
    if settings is None:
        raise ServiceFailure("settings-missing", "the server is not set up in this qube")
    return settings


def store(state: State, settings: Settings) -> None:
    """Write the settings; from now on no first login waits."""
    _write(state.settings, settings)
    state.pending.unlink(missing_ok=True)


def store_pending(state: State, settings: Settings) -> None:
    """Write the settings that a first login waits with."""
    _write(state.pending, settings)


def _write(path: Path, settings: Settings) -> None:
    text = json.dumps(dataclasses.asdict(settings), indent=2, sort_keys=True) + "\n"
    write_private(path, text.encode("ascii"))
