"""qborg.InstallBundle: accept the bundle that the maintenance qube sends, or refuse it whole.

Runs in clients. The record is untrusted until it matched our own skeletons; a refusal changes
nothing and repeats nothing of it.
"""

from collections.abc import Mapping

from qborg_borg.bundle import Bundle, BundleRefused, match_bundle
from qborg_client import backup, crontab, generation, identity, ssh_config
from qborg_client.paths import Paths, own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.services import Role


def handle(call: Call) -> Mapping[str, str]:
    """Check everything, then write what differs."""
    identity.require_lasting()
    try:
        bundle = match_bundle(call.record or b"", identity.own_qube())
    except BundleRefused as error:
        raise ServiceFailure("bundle-refused", str(error)) from error
    if bundle.repository != call.named():
        raise ServiceFailure("bundle-refused", "the bundle is for another repository than the call")
    changed = _apply(own_paths(), bundle)
    return {"bundle": bundle.digest, "changed": "yes" if changed else "no"}


def _apply(paths: Paths, bundle: Bundle) -> bool:
    """Make the bundle current with its line and its block; answer whether anything changed."""
    identity.require_lasting_home(paths.home)
    generation.check_place(paths)
    config = ssh_config.planned(paths.ssh_config)
    jobs = crontab.planned(bundle.files["bak.crontab"])
    fresh = _installed_digest(paths) != bundle.digest
    if fresh:
        generation.install(paths, bundle)
    if config is not None:
        ssh_config.write(paths.ssh_config, config)
    if jobs is not None:
        crontab.write(jobs)
    backup.make_settings(paths)
    return fresh or config is not None or jobs is not None


def _installed_digest(paths: Paths) -> str | None:
    """Answer the digest of what is installed; a damaged bundle is replaced like none."""
    try:
        bundle = generation.current(paths)
    except ServiceFailure:
        return None
    return None if bundle is None else bundle.digest


main = service("InstallBundle", Role.CLIENT, handle)
