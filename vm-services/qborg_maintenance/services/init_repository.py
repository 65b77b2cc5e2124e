"""InitRepository: the birth of one client's repository, and its exported key.

Runs in the maintenance qube, through the client's restricted key.
"""

from qborg_maintenance import keys, settings
from qborg_maintenance.registry import IMPORTED
from qborg_maintenance.repository import initialise, open_imported
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def init_repository(call: Call) -> dict[str, str]:
    """Answer the repository's id, the digest of its key, and where that is."""
    state = own_state()
    stored = settings.require(state)
    entry, secrets = keys.require(state, stored, call.named())
    if entry.origin == IMPORTED:
        born = open_imported(state, stored, secrets, entry)
    else:
        born = initialise(state, stored, secrets, call.text("encryption"))
    keys.note_birth(state, stored, call.named(), born.repository_id)
    return {
        "repository_id": born.repository_id,
        "key_digest": born.key_digest,
        "created": "yes" if born.created else "no",
        "encryption": secrets.encryption,
    }


main = service("InitRepository", Role.MAINTENANCE, init_repository)
