"""The key in the repository against the one in the record, and that one put back.

Runs in workers. A repokey lies in the repository and can be changed by whoever may write there;
the exported one in the record opens the same archives still.
"""

from qborg_borg import archives, command, key_export
from qborg_borg.command import Access
from qborg_borg.process import run_borg
from qborg_borg.recovery_record import RecoveryRecord
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private

_SECONDS = 60.0


def is_escrowed(access: Access, record: RecoveryRecord) -> bool:
    """Tell whether the repository has the record's key; raises ServiceFailure with borg's cause."""
    outcome = run_borg(command.export_key(access), access, timeout=_SECONDS)
    if outcome.cause == "keys-missing":
        return False
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    try:
        there = key_export.parse(outcome.stdout)
    except key_export.ExportRefused as error:
        raise ServiceFailure("borg-failed", str(error)) from error
    return there == key_export.parse(record.values["key_export"].encode("ascii"))


def put_back(access: Access, record: RecoveryRecord) -> bool:
    """Have the record's key in the repository; answers whether that changed anything.

    Raises ServiceFailure; also if the repository does not open afterwards.
    """
    changed = not is_escrowed(access, record)
    if changed:
        path = volatile.folder() / "key"
        write_private(path, record.values["key_export"].encode("ascii"))
        outcome = run_borg(command.import_key(access, str(path)), access, timeout=_SECONDS)
        if outcome.cause is not None:
            raise ServiceFailure(outcome.cause, outcome.detail)
        if not is_escrowed(access, record):
            raise ServiceFailure("keys-differ", "the repository did not keep the key")
    archives.listed(access)
    return changed
