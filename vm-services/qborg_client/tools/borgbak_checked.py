"""borgbak where a glance is not enough: it writes, names the latest archive, or cannot start.

Runs in clients. The whole bundle is checked first, and what writes is refused in a copy.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from qborg_borg import archives
from qborg_borg.bundle import Bundle
from qborg_borg.key_export import KEYFILE
from qborg_client import backup, borg_line, borg_start, generation, identity
from qborg_client.borg_commands import TABLE
from qborg_client.paths import Paths, own_paths
from qborg_client.tools import hints
from qborg_service.failure import ServiceFailure


def main(arguments: Sequence[str], line: borg_line.Line) -> int:
    """Become borg; answer 1 after telling why that is not possible, 130 if Ctrl-C came before."""
    paths = own_paths()
    try:
        bundle = generation.required(paths)
        if borg_line.writes(arguments, line):
            identity.require_own(paths, bundle)
        wait = borg_line.lock_wait(arguments)
        look = partial(_newest, paths, bundle, wait)
        said = borg_line.spell_out(arguments, line, look)
        variables = borg_start.environment(os.environ, reach(paths, bundle))
        borg_start.become_borg(said, variables, TABLE["wait"])
    except KeyboardInterrupt:
        return 130
    except ServiceFailure as failure:
        return hints.tell(failure)
    except OSError as error:
        return tell(error)
    return 1


def _newest(paths: Paths, bundle: Bundle, wait: int) -> str:
    access = backup.access(paths, bundle, os.environ.get("BORG_BASE_DIR"))
    return archives.newest(replace(access, lock_wait=wait), bundle.qube)


def reach(paths: Paths, bundle: Bundle) -> borg_start.Reach:
    """Answer what makes borg reach the repository of a bundle."""
    return borg_start.Reach(
        bundle.repository.url, bundle.remote_borg, paths.ssh_command, paths.passcommand,
        str(paths.key_file) if bundle.encryption == KEYFILE else None,
    )


def tell(error: OSError) -> int:
    """Say why borg could not be started, and answer the exit code 1."""
    if isinstance(error, FileNotFoundError):
        return hints.tell(ServiceFailure("borg-missing", f"{borg_start.BORG} is not there"))
    return hints.tell_system(error)
