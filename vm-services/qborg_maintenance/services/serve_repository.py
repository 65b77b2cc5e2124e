"""qborg.ServeRepository: one repository of the server, to the qube that dom0 announced.

Runs in the maintenance qube. borg's own protocol goes through by ssh with the admin key; that
qube, a worker or a client that gets files, never sees the key, and the server's borg serves this
repository alone.
"""

import subprocess

from qborg_maintenance import lending, settings, ssh_config
from qborg_maintenance.connection import ENVIRONMENT, SSH
from qborg_maintenance.server import configured
from qborg_maintenance.state import own_state
from qborg_service.failure import ServiceFailure
from qborg_service.stream import stream
from qborg_wire.key_line import serve_command
from qborg_wire.names import Repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES

# An older ssh does not know how to end what is idle; then only a dead connection ends it.
_IDLE = ("-o", "IgnoreUnknown=ChannelTimeout", "-o",
         f"ChannelTimeout=session={SERVICES['ServeRepository'].seconds}")  # fmt: skip
_LOOK = 30.0  # seconds between two looks whether it is still lent, by which it stays so


def serve_repository(caller: str, repository: Repository) -> int:
    """Let the qube and the server's borg talk while it is lent; answers ssh's exit code.

    Raises wrong-caller if it is not, or no longer, as after a loan to another qube; ssh is ended.
    stderr stays that qube's: without one the server's borg would fail at its first word.
    """
    lending.require(caller, repository)
    state = own_state()
    stored = settings.require(state)
    with configured(stored, state.admin_key) as server:
        words = serve_command(stored.remote_borg, repository).split()
        argv = [SSH, "-F", str(server.config), *_IDLE, "--", ssh_config.ADMIN, *words]
        with subprocess.Popen(argv, env=ENVIRONMENT) as process:
            while True:
                try:
                    return process.wait(_LOOK)
                except subprocess.TimeoutExpired as error:
                    if not lending.is_in_use(caller, repository):
                        process.kill()  # whatever that qube leaves unread
                        told = f"{repository} is no longer lent to {caller}"
                        raise ServiceFailure("wrong-caller", told) from error


main = stream("ServeRepository", Role.MAINTENANCE, serve_repository)
