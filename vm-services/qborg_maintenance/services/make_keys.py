"""MakeKeys: key pair and passphrase of one client, made once.

Runs in the maintenance qube; dom0 gets the public key only.
"""

from qborg_maintenance import keys, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.services import Role


def make_keys(call: Call) -> dict[str, str]:
    """Answer the public key, made now or before."""
    state = own_state()
    entry, created = keys.make(state, settings.require(state), call.named())
    return {
        "public_key": entry.public_key,
        "fingerprint": entry.fingerprint,
        "created": "yes" if created else "no",
    }


main = service("MakeKeys", Role.MAINTENANCE, make_keys)
