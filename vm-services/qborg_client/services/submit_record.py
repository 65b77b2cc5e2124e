"""qborg.SubmitRecord: this client's recovery record to the vault, through the gate of dom0.

Runs in clients that are their own keyholder. dom0 compares what the vault says that it keeps with
this answer.
"""

from collections.abc import Mapping

from qborg_client import keyholder
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.qrexec import deliver
from qborg_wire.row import Role
from qborg_wire.services import SERVICES


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digest that the vault keeps, which is the one sent."""
    record = keyholder.record(own_paths(), call.named())
    return deliver(SERVICES["StoreRecord"], call.named(), call.text("vault"),
                   record.data.reveal(), "record", record.digest)  # fmt: skip


main = service("SubmitRecord", Role.CLIENT, handle)
