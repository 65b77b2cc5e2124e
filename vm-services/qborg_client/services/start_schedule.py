"""qborg.StartSchedule: cron now, not only at the next boot.

Runs in clients as root. It takes nothing from the caller and touches nothing of the user's.
"""

from collections.abc import Mapping

from qborg_client import cron
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(_call: Call) -> Mapping[str, str]:
    """Start cron unless it runs."""
    cron.start()
    return {"cron": cron.RUNNING}


main = service("StartSchedule", Role.CLIENT, handle)
