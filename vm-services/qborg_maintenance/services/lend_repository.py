"""qborg.LendRepository: dom0 announces the one qube that will ask for a repository.

Runs in the maintenance qube. It need not be one that is known here: of a former repository only
the vault may know, after a recovery by paper.
"""

from qborg_maintenance import lending, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.row import Role


def lend_repository(call: Call) -> dict[str, str]:
    """Answer that it is lent, to this qube and to no other."""
    repository = call.named()
    if repository.machine != settings.require(own_state()).machine:
        raise ServiceFailure("keys-missing", f"{repository} is another computer's")
    lending.announce(call.text("worker"), repository)
    return {"lent": "yes"}


main = service("LendRepository", Role.MAINTENANCE, lend_repository)
