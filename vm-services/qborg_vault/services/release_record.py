"""qborg.ReleaseRecord: send the newest record of a repository to the one qube that dom0 names.

Runs in the vault. Nobody but dom0 can order it, and it goes through the gate that dom0 holds open.
"""

from collections.abc import Mapping

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_service.qrexec import deliver
from qborg_vault.store import own_vault
from qborg_wire.row import Role
from qborg_wire.services import accepting


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digest that the receiver holds, which is the one sent."""
    repository, receiver = call.named(), call.text("receiver")
    newest = own_vault().required(repository)
    data = recovery_record.encode(newest.kind, repository, newest.values)
    role = Role(call.text("role"))
    if (newest.kind is Kind.ACCOUNT) != (role is Role.MAINTENANCE):
        raise ServiceFailure("record-refused", f"a {role.value} gets no record of that kind")
    return deliver(accepting(role), repository, receiver, data, "record", newest.digest)


main = service("ReleaseRecord", Role.VAULT, handle)
