"""The lock directory on the server: one writer of authorized_keys among our computers.

Runs in the maintenance qube over a living session. Foreign editors know nothing of it.

Each contender makes a dated entry in the directory and then looks: who sees its own alone holds
the lock, who sees another's takes its own back and waits. Of two that come at once, the one that
looks last sees both. A left over entry is taken by renaming it, which only one of several can.
"""

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qborg_maintenance.connection import refusal
from qborg_maintenance.server import Server
from qborg_service.failure import ServiceFailure

LOCK = ".ssh/qborg-lock"
_STALE = 600  # seconds; no publication takes longer
_PATIENCE = 120.0  # seconds that we wait for other computers
_PAUSE = (0.3, 1.5)  # seconds between two looks, by chance: else two could meet again and again
_MAKES = 5
_ENTRY = re.compile(r"([0-9]{10})-([0-9a-f]{32})")


@dataclass(frozen=True)
class Lock:
    """The lock as held by one entry."""

    server: Server
    entry: str

    def is_held(self) -> bool:
        """Tell whether it is still ours: it is not, if we slept so long that we looked dead."""
        return self.entry in (_entries(self.server) or ())

    def release(self) -> None:
        """Take our entry away, and the directory if nobody else has one there."""
        self.server.files.remove_directory(f"{LOCK}/{self.entry}")
        self.server.files.remove_directory(LOCK)


@contextmanager
def remote_lock(server: Server, machine_id: str, waits: Callable[[], None]) -> Iterator[Lock]:
    """Hold the lock; `waits` is called again and again while another computer has it.

    The caller holds this computer's own lock, so an entry with our identity is a killed run's.
    Raises publish-refused when the others take too long.
    """
    deadline = time.monotonic() + _PATIENCE
    while (lock := _take(server, machine_id)) is None:
        if time.monotonic() > deadline:
            raise ServiceFailure("publish-refused", "other computers publish; try again soon")
        waits()
        time.sleep(random.uniform(*_PAUSE))
    try:
        yield lock
    finally:
        # What went wrong inside is the news; an entry that stays is known as ours next time.
        with contextlib.suppress(ServiceFailure):
            lock.release()


def _take(server: Server, machine_id: str) -> Lock | None:
    """Try once to get the lock."""
    found = _entries(server)
    if found is None:
        _make(server)
        found = []
    left_over = [entry for entry in found if _is_left_over(entry, machine_id)]
    if len(left_over) < len(found):
        return None
    lock = Lock(server, f"{int(time.time())}-{machine_id}")
    path = f"{LOCK}/{lock.entry}"
    if not left_over:
        made = server.files.make_directory(path)
        if made.code != 0 and (failure := refusal(made, "")).cause == "server-full":
            raise failure
    elif lock.entry not in left_over:
        server.files.move(f"{LOCK}/{left_over[0]}", path)
    if _entries(server) == [lock.entry]:
        return lock
    lock.release()
    return None


def _make(server: Server) -> None:
    """Make the directory unless it is there; raises the failure that the server's words tell of."""
    for _attempt in range(_MAKES):
        made = server.files.make_directory(LOCK)
        if made.code == 0 or _entries(server) is not None:
            return
        # It was there, and whoever held the lock has just taken it away; or none can be made.
    raise refusal(made, "no directory can be made in .ssh")


def _entries(server: Server) -> list[str] | None:
    """Answer the entries that contenders made, None if there is no directory."""
    untrusted_names = server.files.names(LOCK)
    if untrusted_names is None:
        return None
    words = (name.decode("ascii", "replace") for name in untrusted_names)
    return sorted(word for word in words if _ENTRY.fullmatch(word))


def _is_left_over(entry: str, machine_id: str) -> bool:
    seconds, _dash, owner = entry.partition("-")
    return owner == machine_id or abs(time.time() - int(seconds)) > _STALE
