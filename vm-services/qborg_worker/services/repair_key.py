"""qborg.RepairKey: put the escrowed key back into the repository.

Runs in workers.
"""

import tempfile
from collections.abc import Mapping

from qborg_borg import lender
from qborg_borg.key_export import KEYFILE
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.row import Role
from qborg_worker import held, repository_key


def handle(call: Call) -> Mapping[str, str]:
    """Answer whether it was another one, and the digest of the record that has it."""
    record = held.required(call.named())
    if record.digest != call.text("record"):
        raise ServiceFailure("record-refused", "it is another one than dom0 knows")
    if record.values["encryption"] == KEYFILE:
        raise ServiceFailure("needs-no-key", "nothing was changed")
    with tempfile.TemporaryDirectory(prefix="qborg-repair-") as base_dir:
        changed = repository_key.put_back(
            lender.access(record, call.text("lender"), base_dir), record)
    return {"record": record.digest, "changed": "yes" if changed else "no"}


main = service("RepairKey", Role.WORKER, handle)
