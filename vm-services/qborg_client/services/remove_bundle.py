"""qborg.RemoveBundle: the undo of InstallBundle, once the bundle's key opens nothing any more.

Runs in clients.
"""

from collections.abc import Mapping

from qborg_client import removal
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Remove what is ours; a second time there is nothing to do."""
    changed, mine = removal.undo(own_paths(), call.named())
    return {"changed": "yes" if changed else "no", "settings": mine}


main = service("RemoveBundle", Role.CLIENT, handle)
