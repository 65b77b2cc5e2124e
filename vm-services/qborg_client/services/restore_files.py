"""qborg.RestoreFiles: extract into a fresh directory, with progress.

Runs in the qube that gets the files.
"""

from collections.abc import Mapping

from qborg_client import generation, identity, restore
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

    restored = restore.run(
        paths, bundle, call.text("archive"), call.texts("paths"), call.text("directory"), tell
    )
    return {
        "archive": restored.archive,
        "files": str(restored.files),
        "bytes": str(restored.size),
    }


main = service("RestoreFiles", Role.CLIENT, handle)
