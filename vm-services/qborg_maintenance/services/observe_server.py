"""qborg.ObserveServer: evidence of repositories that takes no secret, for dom0 to compare.

Runs in the maintenance qube.
"""

from qborg_maintenance import evidence, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def observe_server(call: Call) -> dict[str, str]:
    """Answer the digest of the key in each repository that was asked for."""
    state = own_state()
    found = evidence.keys(state, settings.require(state), call.texts("repositories"))
    return {"keys": " ".join(f"{name}:{digest}" for name, digest in found) or "none"}


main = service("ObserveServer", Role.MAINTENANCE, observe_server)
