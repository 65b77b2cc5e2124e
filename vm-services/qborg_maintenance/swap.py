"""One swap of authorized_keys: the new file uploaded beside, moved in place, proved by a login.

Runs in the maintenance qube, under the remote lock. What another person writes meanwhile is seen:
before the move by reading again, after it by the former file's second name.
"""

from dataclasses import dataclass

from qborg_maintenance.connection import refusal
from qborg_maintenance.files import KEYS
from qborg_maintenance.remote_lock import Lock
from qborg_maintenance.server import try_login
from qborg_maintenance.way_back import FORMER, NEW
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished

MEANWHILE = "someone else changed authorized_keys"


@dataclass(frozen=True)
class Swap:
    """From the bytes that were read to those that shall stand there."""

    lock: Lock
    current: bytes
    candidate: bytes

    def upload(self) -> None:
        """Have the new file beside the old one, which gets a second name.

        Raises ServiceFailure, then authorized_keys is as it was.
        """
        files = self.lock.server.files
        files.remove(NEW)  # a first login that was cut leaves it as a second name of KEYS
        files.write(NEW, self.candidate)
        if files.read(NEW) != self.candidate:
            files.remove(NEW)
            raise ServiceFailure("publish-refused", "the upload came back different")
        must("the new file's mode cannot be set", files.set_mode(NEW, "600"))
        files.remove(FORMER)
        # A second name of the same file also gets what a person still writes into it.
        if files.link(KEYS, FORMER).code != 0:
            must("the old file cannot be copied", files.copy(KEYS, FORMER))
        if not self.lock.is_held():
            raise ServiceFailure("publish-refused", "another computer took the lock over")
        if files.read(FORMER) != self.current or files.read(KEYS) != self.current:
            raise ServiceFailure("publish-refused", MEANWHILE)

    def move_and_prove(self) -> tuple[ServiceFailure | None, bool]:
        """Answer why the swap must be undone, None if not, and if someone wrote after it."""
        server = self.lock.server
        try:
            must("the new file cannot be moved in place", server.files.move(NEW, KEYS))
            # A login of its own, and what it sees: both must hold before the guard goes.
            proof = server.apart().files.read(KEYS)
            if proof is None:
                return _refused("the new file cannot be read"), False
            if server.files.read(FORMER) != self.current:
                return _refused(MEANWHILE), False
            # Somebody wrote after our login, so that one does not speak for what stands there now.
            if proof != self.candidate and not try_login(server):
                return _refused("what someone else wrote does not accept the admin key"), False
        except ServiceFailure as failure:
            return failure, False
        return None, proof != self.candidate


def _refused(detail: str) -> ServiceFailure:
    return ServiceFailure("publish-refused", detail)


def must(detail: str, finished: Finished) -> None:
    """Raise the failure that a command's words tell of, unless it is done."""
    if finished.code != 0:
        raise refusal(finished, detail)
