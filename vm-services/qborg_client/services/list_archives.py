"""qborg.ListArchives: what the repository holds, newest first.

Runs in clients.
"""

from collections.abc import Mapping

from qborg_borg import archives
from qborg_client import backup, generation, identity, told
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer names and times, and how many there are beside."""
    paths = own_paths()
    bundle = generation.required(paths)
    identity.require_repository(bundle, call.named())
    found, strange = archives.kept(backup.access(paths, bundle))
    text, left = told.fitting([{"name": each.name, "time": each.made} for each in found])
    return {"archives": text, "more": str(left + strange)}


main = service("ListArchives", Role.CLIENT, handle)
