"""qborg.AcceptRecord: one recovery record from the vault, into memory.

Runs in workers, through the gate that dom0 holds open.
"""

from collections.abc import Mapping

from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role
from qborg_worker import held


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digest of the record that is held now."""
    return {"record": held.accept(call.record or b"", call.named()).digest}


main = service("AcceptRecord", Role.WORKER, handle)
