"""An accepted bundle made current, with its line, its block and the user's two files.

Runs in clients: for the service that a qube's bundle comes through, and for the command that
installs a plain host's from a directory.
"""

from qborg_borg.bundle import Bundle
from qborg_client import backup, crontab, generation, identity, old_scripts, ssh_config
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure


def apply(paths: Paths, bundle: Bundle) -> tuple[bool, bool]:
    """Answer whether anything changed, and whether the old scripts' things were put aside.

    Raises ServiceFailure, then nothing is changed.
    """
    identity.require_lasting_home(paths.home)
    old = old_scripts.found(paths)
    generation.check_place(paths)
    config = ssh_config.planned(paths.ssh_config)
    jobs, disabled = crontab.planned(bundle.files["bak.crontab"])
    fresh = _installed_digest(paths) != bundle.digest
    if old:
        old_scripts.tell_borg(paths, bundle.repository)
    if fresh:
        generation.install(paths, bundle)
    identity.release(paths)
    if config is not None:
        ssh_config.write(paths.ssh_config, config)
    if jobs is not None:
        crontab.write(jobs)
    backup.make_settings(paths)
    return fresh or config is not None or jobs is not None, old or disabled


def _installed_digest(paths: Paths) -> str | None:
    """Answer the digest of what is installed; a damaged bundle is replaced like none."""
    try:
        bundle = generation.current(paths)
    except ServiceFailure:
        return None
    return None if bundle is None else bundle.digest
