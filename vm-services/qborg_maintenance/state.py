"""Where the maintenance qube keeps what it knows, and the lock over it.

Runs in the maintenance qube. Knows paths only; what the files hold is known to the modules that
read them.
"""

import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qborg_wire.names import Repository


@dataclass(frozen=True)
class State:
    """The files below one private directory, made 0700 when it is first needed."""

    root: Path

    @property
    def settings(self) -> Path:
        """The server and this computer's identity."""
        return self.root / "settings.json"

    @property
    def pending(self) -> Path:
        """The settings of a first login that waits for its password."""
        return self.root / "pending.json"

    @property
    def registry(self) -> Path:
        """The repositories, their public keys and the epoch."""
        return self.root / "registry.json"

    @property
    def seen(self) -> Path:
        """What was seen of each repository on the server."""
        return self.root / "seen.json"

    @property
    def record(self) -> Path:
        """The account's recovery record as it was sent to the vault last, or came from there."""
        return self.root / "record"

    @property
    def admin(self) -> Path:
        """The directory of the admin key."""
        return self.root / "admin"

    @property
    def admin_key(self) -> Path:
        """The admin's private key."""
        return self.admin / "key"

    @property
    def known_hosts(self) -> Path:
        """The server's pinned key, for a person at this qube's terminal."""
        return self.root / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """`ssh -F` this `bakadmin`, for a person at this qube's terminal."""
        return self.root / "ssh_config"

    @property
    def host_keys(self) -> Path:
        """The directory of all clients' secrets."""
        return self.root / "host-keys"

    def keys_of(self, repository: Repository) -> Path:
        """Answer the directory of one client's secrets."""
        return self.host_keys / str(repository)

    @property
    def revoked_keys(self) -> Path:
        """The directory of revoked clients' secrets that no vault is known to have."""
        return self.root / "revoked-keys"

    @contextmanager
    def locked(self, name: str = "lock") -> Iterator[int]:
        """Hold the one writer's lock, or another one, waiting for it; answers its descriptor.

        A forked child that keeps the descriptor keeps the lock.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.root / name, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def own_state() -> State:
    """Answer the state of the user that the services run as; the environment is not asked."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return State(home / ".local" / "share" / "qubes-borg")
