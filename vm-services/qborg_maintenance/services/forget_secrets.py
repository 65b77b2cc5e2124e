"""ForgetSecrets: one client's secrets leave this qube once the vault's record was proved.

Runs in the maintenance qube, by dom0's order only. The public key stays: it is published on.
"""

from qborg_maintenance import keys, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def forget_secrets(call: Call) -> dict[str, str]:
    """Answer whether there were any."""
    state = own_state()
    changed = keys.forget(state, settings.require(state), call.named())
    return {"changed": "yes" if changed else "no"}


main = service("ForgetSecrets", Role.MAINTENANCE, forget_secrets)
