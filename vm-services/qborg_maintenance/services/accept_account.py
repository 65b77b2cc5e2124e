"""qborg.AcceptAccount: the account's recovery record from the vault.

Runs in the maintenance qube, through the gate that dom0 holds open.
"""

from qborg_maintenance import recovery
from qborg_maintenance.state import own_state
from qborg_service import qubesdb
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.row import Role


def handle(call: Call) -> dict[str, str]:
    """Answer the digest of the record whose account is here now."""
    own = call.named()
    if own.qube != qubesdb.own_name():
        raise ServiceFailure("record-refused", "it is for a qube of another name")
    return {"record": recovery.accept(own_state(), call.record or b"", own, call.caller)}


main = service("AcceptAccount", Role.MAINTENANCE, handle)
