"""qborg.AdoptBundle: the bundle that was prepared here becomes the one that backups use.

Runs in clients that are their own keyholder. The former one stays until a proof.
"""

from collections.abc import Mapping

from qborg_client import keyholder
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer what is installed now, as InstallBundle does."""
    bundle, changed, aside = keyholder.adopt(own_paths(), call.named())
    return {
        "bundle": bundle.digest,
        "changed": "yes" if changed else "no",
        "aside": "yes" if aside else "no",
    }


main = service("AdoptBundle", Role.CLIENT, handle)
