"""The dated lock directory on the server: one writer of authorized_keys among our computers.

Runs in the maintenance qube over a living session. Foreign editors know nothing of it.
"""

import contextlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from qborg_maintenance.server import Server, refusal
from qborg_service.failure import ServiceFailure

LOCK = ".ssh/qborg-lock"
_STALE = 600  # seconds; no publication takes longer
_OWNER = re.compile(r"([0-9]{10})-([0-9a-f]{32})")


@contextmanager
def remote_lock(server: Server, machine_id: str) -> Iterator[None]:
    """Hold the lock; raises publish-refused while another computer has it.

    The caller holds this computer's own lock, so a lock with our identity is a killed run's.
    """
    if not _take(server, machine_id):
        if not _is_left_over(server, machine_id):
            raise _busy()
        release(server)
        if not _take(server, machine_id):
            raise _busy()
    try:
        yield
    finally:
        # What went wrong inside is the news; a lock that stays is recognised as ours next time.
        with contextlib.suppress(ServiceFailure):
            release(server)


def release(server: Server) -> None:
    """Remove the lock, whoever holds it."""
    server.run("rm", "-r", "-f", LOCK)


def _busy() -> ServiceFailure:
    return ServiceFailure("publish-refused", "another computer publishes now; try again soon")


def _take(server: Server, machine_id: str) -> bool:
    made = server.run("mkdir", LOCK)
    if made.code == 0:
        server.run("mkdir", f"{LOCK}/{int(time.time())}-{machine_id}")
        return True
    if server.run("ls", "-d", LOCK).code != 0:
        raise refusal(made, "no directory can be made in .ssh")
    return False


def _is_left_over(server: Server, machine_id: str) -> bool:
    """Tell whether the lock is ours or old. A lock without a date was killed while being made."""
    for _attempt in range(2):
        listed = server.run("ls", LOCK).stdout.decode("ascii", "replace")
        owner = _OWNER.fullmatch(listed.strip())
        if owner is not None:
            return owner[2] == machine_id or abs(time.time() - int(owner[1])) > _STALE
        time.sleep(2)
    return True
