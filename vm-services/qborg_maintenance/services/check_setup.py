"""CheckSetup: the server's key, the login, borg, what already lies there.

Runs in the maintenance qube.
"""

from qborg_maintenance import setup
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def check_setup(call: Call) -> dict[str, str]:
    """Answer what the server shows and offers."""
    wanted = Settings(
        machine=call.text("machine"), machine_id=call.text("machine_id"),
        host=call.text("host"), port=call.text("port"), account=call.text("account"),
        host_key="", remote_borg=call.text("remote_borg"),
    )
    found = setup.check(
        own_state(), wanted, call.text("host_key"), call.texts("repositories"),
        anew=call.text("purpose") == "set-up",
    )
    offered = found.offered
    return {
        "admin_key": found.admin_key,
        "host_key": found.host_key,
        "login": found.login,
        "remote_borg": found.remote_borg,
        "borg": found.borg,
        "epoch": str(found.epoch),
        "occupied": setup.listed(found.occupied),
        "revoked": setup.listed(found.revoked),
        "provider": wanted.provider.name,
        "access": offered.access if offered else setup.UNKNOWN,
        "keys": offered.keys if offered else setup.UNKNOWN,
        "snapshots": offered.snapshots if offered else setup.UNKNOWN,
    }


main = service("CheckSetup", Role.MAINTENANCE, check_setup)
