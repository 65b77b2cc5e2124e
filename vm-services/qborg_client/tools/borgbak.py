"""borgbak: borg with this qube's repository, key and passphrase already said.

Runs in clients. The arguments go to borg as they are; `::ARCHIVE` names an archive.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from qborg_borg.bundle import Bundle
from qborg_borg.command import BORG
from qborg_client import generation, identity
from qborg_client.paths import Paths, own_paths
from qborg_client.tools import hints
from qborg_service.failure import ServiceFailure

_WRITING = frozenset({"create", "delete", "import-tar", "prune", "recreate", "rename"})
_READING = frozenset({
    "break-lock", "check", "compact", "config", "debug", "diff", "export-tar", "extract", "help",
    "info", "init", "key", "list", "mount", "serve", "umount", "upgrade", "with-lock",
})
_OTHER_SECRETS = ("BORG_PASSPHRASE", "BORG_PASSPHRASE_FD")


def main(args: Sequence[str] | None = None) -> int:
    """Become borg; answer 1 only if that is not possible."""
    arguments = list(sys.argv[1:] if args is None else args)
    paths = own_paths()
    try:
        bundle = generation.required(paths)
        if writes(arguments):
            identity.require_own(bundle)
        os.execve(BORG, [BORG, *arguments], environment(os.environ, paths, bundle))
    except ServiceFailure as failure:
        return hints.tell(failure)
    except FileNotFoundError:
        return hints.tell(ServiceFailure("borg-missing", f"{BORG} is not there"))
    except OSError as error:
        return hints.tell_system(error)


def writes(arguments: Sequence[str]) -> bool:
    """Tell whether borg would add to the history or take from it, by its first command word."""
    known = _WRITING | _READING
    return next((word for word in arguments if word in known), "") in _WRITING


def environment(inherited: Mapping[str, str], paths: Paths, bundle: Bundle) -> dict[str, str]:
    """Answer the environment of borg: the user's own, with the repository's said in it."""
    kept = {name: value for name, value in inherited.items() if name not in _OTHER_SECRETS}
    return kept | {
        "BORG_PASSCOMMAND": paths.passcommand,
        "BORG_REMOTE_PATH": bundle.remote_borg,
        "BORG_REPO": bundle.repository.url,
        "BORG_RSH": paths.ssh_command,
    }
