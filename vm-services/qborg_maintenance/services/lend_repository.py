"""qborg.LendRepository: dom0 announces the one qube that will ask for a repository.

Runs in the maintenance qube.
"""

from qborg_maintenance import lending, registry, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.row import Role


def lend_repository(call: Call) -> dict[str, str]:
    """Answer that it is lent, to this qube and to no other."""
    state, repository = own_state(), call.named()
    known = registry.load(state, settings.require(state))
    if str(repository) not in known.repositories:
        raise ServiceFailure("keys-missing", f"{repository} is not known here")
    lending.announce(call.text("worker"), repository)
    return {"lent": "yes"}


main = service("LendRepository", Role.MAINTENANCE, lend_repository)
