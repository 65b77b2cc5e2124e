"""The way back from a swapped authorized_keys: what the guard does.

Runs in the maintenance qube, in the guard's process. A person's own edit is never undone as long
as the admin can log in with it.
"""

import contextlib
import shutil
import time
from dataclasses import dataclass

from qborg_maintenance.files import KEYS, Files
from qborg_maintenance.remote_lock import Lock
from qborg_maintenance.server import Server, try_login
from qborg_service.failure import ServiceFailure

# The new file on its way, the former one, and one of somebody else that let nobody in.
NEW, FORMER, REFUSED = f"{KEYS}.qborg-new", f"{KEYS}.qborg-bak", f"{KEYS}.qborg-refused"
_PATIENCE = 60.0  # seconds that the server may be away
_PAUSE = 2.0  # seconds


@dataclass(frozen=True)
class WayBack:
    """From `new`, which a swap may have put in place, to `former`, the file of before."""

    lock: Lock
    former: bytes
    new: bytes

    @property
    def server(self) -> Server:
        """The account, over the session of before the swap."""
        return self.lock.server

    def go(self, orphaned: bool) -> bool:
        """Answer whether the former file, or one that lets the admin in, is surely in place.

        `orphaned`: the service was killed, so nobody else removes its lock and configuration.
        """
        deadline = time.monotonic() + _PATIENCE
        while not (back := self._try(last=False)) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        # Nobody can say now whether another person's file lets the admin in: better the former one.
        back = back or self._try(last=True)
        if orphaned:
            with contextlib.suppress(ServiceFailure):
                self.lock.release()
            shutil.rmtree(self.server.config.parent)
        return back

    def _try(self, last: bool) -> bool:
        try:
            files = self._reached().files
            # First: a killed service's move may still be on its way and finds nothing then.
            files.remove(NEW)
            if files.read(KEYS) == self.new:
                files.move(FORMER, KEYS)
            there = files.read(KEYS)
            if there == self.former:
                return True
            # Also what a person wrote into the former file in place, as it was swapped.
            if there != self.new and (
                (lets_in := self._lets_in()) or lets_in is None and not last
            ):
                return lets_in is True
            files.copy(KEYS, REFUSED)
            return self._puts_former(files)
        except ServiceFailure:
            return False

    def _puts_former(self, files: Files) -> bool:
        source = FORMER
        if files.read(FORMER) != self.former:
            # Beside, as the former file may be the broken one's second name.
            files.write(NEW, self.former)
            files.set_mode(NEW, "600")
            source = NEW
        files.move(source, KEYS)
        # Not being the new file is not enough: what a full disk cut lets nobody in.
        return files.read(KEYS) == self.former

    def _lets_in(self) -> bool | None:
        """Tell whether the admin may log in now; None while the server does not say."""
        try:
            return try_login(self.server)
        except ServiceFailure:
            return None

    def _reached(self) -> Server:
        """Answer the way to the account now: over the session of before, or anew if it broke."""
        try:
            self.server.files.exists(KEYS)
        except ServiceFailure:
            return self.server.apart()
        return self.server
