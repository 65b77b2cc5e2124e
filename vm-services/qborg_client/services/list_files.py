"""qborg.ListFiles: what is in an archive, below some paths, with progress.

Runs in clients.
"""

from collections.abc import Mapping

from qborg_client import backup, begun, contents, generation, identity, in_place, restore, told
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.reply import Progress
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the names that fit, and counts of all."""
    paths = own_paths()
    bundle = generation.required(paths)
    identity.require_repository(bundle, call.named())
    inside = [restore.archive_path(path) for path in call.texts("paths")]
    access = backup.access(paths, bundle)
    asked = begun.Asked(access.url, call.text("archive"), inside)
    name = in_place.named(paths, access, asked, bundle.qube)
    found = contents.below(
        access, name, inside, lambda files: call.progress(Progress("list", files, 0)))
    text, left = told.fitting(found.names)
    return {
        "archive": name, "files": str(found.files), "bytes": str(found.size),
        "there": str(found.there), "names": text, "more": str(left + found.all - len(found.names)),
    }


main = service("ListFiles", Role.CLIENT, handle)
