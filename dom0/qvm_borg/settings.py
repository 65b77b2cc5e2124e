"""dom0's settings: which server, whose host key, and what this machine is called.

Runs in dom0; written by qvm-borg-setup once the person has confirmed the host key. It holds
nothing secret, and nothing that a qube has said but that host key's fingerprint.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qborg_wire import names
from qborg_wire.request import Values
from qborg_wire.services import SERVICES
from qvm_borg import files
from qvm_borg.telling import refusal

# What the maintenance qube takes in FirstLogin.
PATTERNS = {row.name: (row.pattern, row.limit) for row in SERVICES["FirstLogin"].request}


@dataclass(frozen=True)
class Settings:
    """One server and this machine's name and random id; each field matches its pattern.

    host_key is `unknown` until a person has confirmed it, remote_borg `probe` until it was found.
    """

    machine: str
    machine_id: str
    account: str
    host: str
    port: str
    host_key: str
    remote_borg: str

    @property
    def server(self) -> str:
        """Answer the server as a person writes it."""
        return f"{self.account}@{self.host}" + ("" if self.port == "22" else f":{self.port}")

    def request(self, repositories: Sequence[str] = (), purpose: str = "set-up") -> Values:
        """Answer what CheckSetup is asked with."""
        return {**asdict(self), "repositories": list(repositories), "purpose": purpose}


def path() -> Path:
    """Answer where the settings lie."""
    return Path.home() / ".config" / "qubes-borg" / "settings.toml"


def load() -> Settings | None:
    """Answer the settings, None if there are none; raises SettingsError for a broken file."""
    try:
        found = tomllib.loads(path().read_text(encoding="ascii"))
        if found.keys() != PATTERNS.keys():
            raise names.NameRefused("other keys than the settings have")
        return Settings(**{key: names.parse(*PATTERNS[key], found[key]) for key in found})
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise refusal("settings-broken", path=path(), why=error) from error


def store(settings: Settings) -> None:
    """Write the settings; every value has passed its pattern, so none needs TOML's escapes."""
    lines = [f'{key} = "{value}"\n' for key, value in asdict(settings).items()]
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(path(), "# Written by qvm-borg-setup.\n" + "".join(lines))
