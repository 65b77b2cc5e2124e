"""PublishKeys: the registry's live keys onto the server.

Runs in the maintenance qube with the admin key.
"""

from qborg_maintenance import settings, setup
from qborg_maintenance.publish import publish
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.reply import Progress
from qborg_wire.row import Role


def publish_keys(call: Call) -> dict[str, str]:
    """Answer what stands on the server, changed now or as it was."""
    state = own_state()

    def waits() -> None:
        call.progress(Progress("another-computer-works", 0, 0))

    def tries() -> None:
        call.progress(Progress("try-keys", 0, 0))

    published = publish(state, settings.require(state), call.texts("repositories"), waits, tries)
    return {
        "epoch": str(published.epoch),
        "keys": str(published.keys),
        "changed": "yes" if published.changed else "no",
        "digest": published.digest,
        "awaited": setup.listed(published.awaited),
    }


main = service("PublishKeys", Role.MAINTENANCE, publish_keys)
