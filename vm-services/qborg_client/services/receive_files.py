"""qborg.ReceiveFiles: files of another qube's repository, with the record that came, with progress.

Runs in clients, and in disposables of them.
"""

from collections.abc import Mapping

from qborg_client import receive, restore, taken_record
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.reply import Progress
from qborg_wire.row import Role

_NONE = "none"


def handle(call: Call) -> Mapping[str, str]:
    """Answer what came; at the stage `check` that it could come, and nothing is needed for it."""
    paths, directory = own_paths(), call.text("directory").removeprefix(_NONE) or None
    if call.text("stage") == "check":
        receive.require_safe()
        if directory is not None:
            restore.checked_directory(paths, directory)
        zeros = dict.fromkeys(("files", "bytes", "warnings"), "0")
        return {"archive": _NONE, **zeros, "record": _NONE}
    record = taken_record.used_up(call.named())
    restored = receive.run(
        paths, record, call.named(), call.text("lender"), call.text("archive"),
        call.texts("paths"), directory,
        lambda files, size: call.progress(Progress("restore", files, size)))
    return {**restored.reply(), "record": record.digest}


main = service("ReceiveFiles", Role.CLIENT, handle)
