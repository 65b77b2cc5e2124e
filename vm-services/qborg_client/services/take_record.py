"""qborg.TakeRecord: the record of a repository to go on with, or to get files of, into memory.

Runs in clients, through the gate that dom0 holds open.
"""

from collections.abc import Mapping

from qborg_client import taken_record
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digest of the record that is held now."""
    return {"record": taken_record.take(call.record or b"", call.named()).digest}


main = service("TakeRecord", Role.CLIENT, handle)
