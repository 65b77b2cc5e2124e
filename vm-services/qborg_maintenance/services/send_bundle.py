"""SendBundle: one client's files to that client, through the gate that dom0 holds open.

Runs in the maintenance qube. The receiver compares, so nothing sent from here runs there.
"""

from qborg_maintenance import keys, render, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_service.qrexec import deliver
from qborg_wire.row import Role
from qborg_wire.services import SERVICES


def send_bundle(call: Call) -> dict[str, str]:
    """Answer the digest that the client installed, which is the one sent."""
    repository, client = call.named(), call.text("client")
    if client != repository.qube:
        raise ServiceFailure("bad-request", "the repository is another qube's")
    state = own_state()
    stored = settings.require(state)
    record, digest = render.bundle(stored, *keys.require(state, stored, repository))
    return deliver(
        SERVICES["InstallBundle"], repository, client, record.reveal(), "bundle", digest)


main = service("SendBundle", Role.MAINTENANCE, send_bundle)
