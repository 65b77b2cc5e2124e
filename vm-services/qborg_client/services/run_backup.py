"""qborg.RunBackup: one backup now, with progress.

Runs in clients.
"""

import json
from collections.abc import Mapping

from qborg_client import backup, generation, identity, journal
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.reply import Progress
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Back up, dom0's manifest too, and answer what it notes; a run of cron is waited for."""
    paths = own_paths()
    bundle = generation.required(paths)
    identity.require_repository(bundle, call.named())

    def tell(files: int, size: int) -> None:
        call.progress(Progress("backup", files, size))

    def tell_waiting() -> None:
        call.progress(Progress("wait-for-other-backup", 0, 0))

    try:
        made = backup.run(paths, bundle, tell, tell_waiting, json.loads(call.text("manifest")))
    except ServiceFailure as failure:
        journal.failure(failure)
        raise
    return {
        "archive": made.archive,
        "files": str(made.files),
        "bytes": str(made.size),
        "sent": str(made.sent),
        "warnings": str(min(made.warnings, 999999)),
        "proof": made.proof,
    }


main = service("RunBackup", Role.CLIENT, handle)
