"""SendRecord: a recovery record to the vault, through the gate that dom0 holds open.

Runs in the maintenance qube. The account's record is the one that bears this qube's own name.
dom0 compares what the vault says that it keeps with this answer.
"""

from qborg_maintenance import escrow, keys, settings
from qborg_maintenance.state import own_state
from qborg_service import qubesdb
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.qrexec import deliver
from qborg_wire.names import Repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES


def send_record(call: Call) -> dict[str, str]:
    """Answer the digest that the vault keeps, which is the one sent."""
    repository, vault = call.named(), call.text("vault")
    state = own_state()
    stored = settings.require(state)
    own = Repository(stored.machine, qubesdb.own_name() or "")
    if repository == own:
        record = escrow.account(state, stored, own)
    else:
        record = escrow.client(stored, *keys.require(state, stored, repository))
    return deliver(SERVICES["StoreRecord"], repository, vault, record.data.reveal(), "record",
                   record.digest)  # fmt: skip


main = service("SendRecord", Role.MAINTENANCE, send_record)
