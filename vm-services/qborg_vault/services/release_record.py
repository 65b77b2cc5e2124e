"""qborg.ReleaseRecord: send the newest record of a repository to the one qube that dom0 names.

Runs in the vault. Nobody but dom0 can order it, and it goes through the gate that dom0 holds open.
"""

from collections.abc import Mapping

from qborg_borg import recovery_record
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_service.qrexec import call_qube
from qborg_vault.store import own_vault
from qborg_wire.reply import Failure
from qborg_wire.row import Role
from qborg_wire.services import SERVICES


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digest that the receiver holds, which is the one sent."""
    repository, receiver = call.named(), call.text("receiver")
    stored = own_vault().newest(repository)
    if stored is None:
        raise ServiceFailure("record-missing", f"the vault holds no record of {repository}")
    newest = stored.newest
    data = recovery_record.encode(newest.kind, repository, newest.values)
    answer = call_qube(SERVICES["AcceptRecord"], repository, receiver, data)
    if isinstance(answer, Failure):
        raise ServiceFailure(answer.cause, f"{receiver}: {answer.detail}")
    if answer["record"] != newest.digest:
        raise ServiceFailure("delivery-failed", f"{receiver} holds another record")
    return answer


main = service("ReleaseRecord", Role.VAULT, handle)
