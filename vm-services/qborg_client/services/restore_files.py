"""qborg.RestoreFiles: extract into a fresh directory, or to where it was, with progress.

Runs in the qube that gets the files.
"""

from collections.abc import Mapping

from qborg_client import generation, identity, in_place, restore
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.reply import Progress
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Extract and answer what came."""
    paths = own_paths()
    bundle = generation.required(paths)
    identity.require_repository(bundle, call.named())

    def tell(files: int, size: int) -> None:
        call.progress(Progress("restore", files, size))

    archive, wanted, directory = call.text("archive"), call.texts("paths"), call.text("directory")
    if call.text("home") == "back":
        restored = restore.bring_back(paths, bundle, archive, directory, tell)
    elif call.text("home") == "place":
        restored = in_place.run(paths, bundle, archive, wanted, tell)
    else:
        restored = restore.run(paths, bundle, archive, wanted, directory, tell)
    return restored.reply()


main = service("RestoreFiles", Role.CLIENT, handle)
