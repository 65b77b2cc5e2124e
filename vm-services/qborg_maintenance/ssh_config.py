"""The ssh configuration of our own sessions: nothing of the user's, nothing interactive.

Runs in the maintenance qube. Two aliases: `bakadmin` with the admin key, and `bakserver` with
one client's restricted key.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qborg_maintenance.settings import Settings

ADMIN, CLIENT = "bakadmin", "bakserver"
_COMMON = """\
    IdentitiesOnly yes
    PreferredAuthentications publickey
    BatchMode yes
    HostKeyAlias bakserver
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    VerifyHostKeyDNS no
    ForwardAgent no
    ClearAllForwardings yes
    PermitLocalCommand no
    RequestTTY no
    ControlMaster no
    ControlPath none
    ConnectTimeout 15
    ServerAliveInterval 5
    ServerAliveCountMax 3
    LogLevel ERROR
"""


def known_hosts(settings: Settings) -> str:
    """Answer the one line that pins the server's key."""
    return f"bakserver {settings.host_key}\n"


def block(
    alias: str, settings: Settings, identity: Path, known_hosts_file: Path, agent: str = "none"
) -> str:
    """Answer one Host block; `agent` is `none` or the socket of one that holds that key alone."""
    return (
        f"Host {alias}\n"
        f"    HostName {settings.host}\n"
        f"    Port {settings.port}\n"
        f"    User {settings.account}\n"
        f'    IdentityFile "{identity}"\n'
        f"    IdentityAgent {agent}\n"
        f'    UserKnownHostsFile "{known_hosts_file}"\n'
        f"{_COMMON}"
    )


@contextmanager
def written(
    alias: str, settings: Settings, identity: Path, agent: str = "none"
) -> Iterator[Path]:
    """Lend a private directory that holds `ssh_config` and `known_hosts`; it goes at the end."""
    with tempfile.TemporaryDirectory(prefix="qborg-", dir="/tmp") as name:
        private = Path(name)
        known_hosts_file = private / "known_hosts"
        known_hosts_file.write_text(known_hosts(settings), encoding="ascii")
        text = block(alias, settings, identity, known_hosts_file, agent)
        (private / "ssh_config").write_text(text, encoding="ascii")
        yield private
