"""qborg.ObserveServer: evidence of repositories that takes no secret, for dom0 to compare.

Runs in the maintenance qube.
"""

from qborg_maintenance import evidence, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def observe_server(call: Call) -> dict[str, str]:
    """Answer one word of evidence for each repository that was asked for."""
    state = own_state()
    found = evidence.observe(
        state, settings.require(state), call.texts("repositories"), call.text("look"))
    return {"evidence": " ".join(map(str, found)) or evidence.NONE}


main = service("ObserveServer", Role.MAINTENANCE, observe_server)
