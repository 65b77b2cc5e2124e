"""qborg.InstallBundle: accept the bundle that the maintenance qube sends, or refuse it whole.

Runs in clients. The record is untrusted until it matched our own skeletons; a refusal changes
nothing and repeats nothing of it.
"""

from collections.abc import Mapping

from qborg_borg.bundle import BundleRefused, match_bundle
from qborg_client import identity, installation
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Check everything, then write what differs."""
    identity.require_lasting()
    try:
        bundle = match_bundle(call.record or b"", identity.own_qube())
    except BundleRefused as error:
        raise ServiceFailure("bundle-refused", str(error)) from error
    if bundle.repository != call.named():
        raise ServiceFailure("bundle-refused", "the bundle is for another repository than the call")
    changed, aside = installation.apply(own_paths(), bundle)
    return {
        "bundle": bundle.digest, "changed": "yes" if changed else "no",
        "aside": "yes" if aside else "no",
    }


main = service("InstallBundle", Role.CLIENT, handle)
