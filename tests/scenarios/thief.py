"""What an evil client has at the server: key and passphrase, an ssh and a borg of its own.

Nothing of the product's configuration binds it; what holds is its line in authorized_keys.
"""

import shlex
from collections.abc import Mapping, Sequence

from lab import Lab
from lab.client import RunResult
from scenarios.attacker import VICTIM
from scenarios.person import SERVER

OWN = "repos/qubes-work"
_BACKUPS = "/home/user/.ssh/backups"
SSH = ("ssh", "-F", "/dev/null", "-i", f"{_BACKUPS}/qubes-work.openssh", "-o", "BatchMode=yes",
       "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={_BACKUPS}/known_hosts",
       "-o", "HostKeyAlias=bakserver", "-o", "LogLevel=INFO")  # fmt: skip
# borg with every question answered by yes, and a memory of its own.
_BORG = f"""export BORG_PASSPHRASE="$(cat {_BACKUPS}/borgpass)" BORG_RSH="$1" BORG_EXIT_CODES=modern
export BORG_BASE_DIR=/tmp/thief BORG_CHECK_I_KNOW_WHAT_I_AM_DOING=YES
export BORG_DELETE_I_KNOW_WHAT_I_AM_DOING=YES BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes; shift; exec borg "$@" """


def ssh(lab: Lab, words: Sequence[str], options: Sequence[str] = ()) -> RunResult:
    """Log in with the qube's own key and ask for WORDS."""
    return lab.exec(VICTIM, [*SSH, *options, SERVER, *words], input=b"", timeout=60)


def url(path: str) -> str:
    """Answer the URL of a path on the server; one without a leading slash begins at the home."""
    return f"ssh://{SERVER}{path}" if path.startswith("/") else f"ssh://{SERVER}/./{path}"


def borg(
    lab: Lab, *words: str, env: Mapping[str, str] | None = None, data: bytes = b""
) -> RunResult:
    """Run borg with the qube's key and passphrase."""
    argv = ["/bin/sh", "-c", _BORG, "-", shlex.join(SSH), *words]
    return lab.exec(VICTIM, argv, env=env, input=data, timeout=120)
