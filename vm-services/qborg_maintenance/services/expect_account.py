"""qborg.ExpectAccount: dom0 announces the one record of an account, and the vault that sends it.

Runs in the maintenance qube.
"""

from qborg_maintenance import recovery
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> dict[str, str]:
    """Answer whether it is here already."""
    # Borg's name on the server may be another one today: the set-up looks for it.
    wanted = {name: call.text(name) for name in call.values if name != "remote_borg"}
    return {"account": "here" if recovery.expect(own_state(), wanted) else "expected"}


main = service("ExpectAccount", Role.MAINTENANCE, handle)
