"""Where a client keeps what: its bundle, the user's settings, its own state.

Runs in clients. All of it lies on the private volume, which survives a restart.
"""

import pwd
import shlex
from dataclasses import dataclass
from os import getuid
from pathlib import Path

from qborg_borg import kept
from qborg_borg.bundle import KEY_FILE


@dataclass(frozen=True)
class Paths:
    """The places below one home."""

    home: Path

    @property
    def ssh(self) -> Path:
        """ssh's own directory."""
        return self.home / ".ssh"

    @property
    def ssh_config(self) -> Path:
        """The user's ssh configuration, which gets one line of ours."""
        return self.ssh / "config"

    @property
    def bundle(self) -> Path:
        """A symlink to the current generation."""
        return self.ssh / "backups"

    @property
    def ssh_command(self) -> str:
        """How borg reaches the server: by the bundle's configuration and nothing of the user's.

        A `Host *` of the user's may add a key, and that key may know no forced command.
        """
        return f"ssh -F {shlex.quote(str(self.bundle / 'bakserver'))}"

    @property
    def passcommand(self) -> str:
        """What prints the passphrase."""
        return f"cat {shlex.quote(str(self.bundle / 'borgpass'))}"

    @property
    def key_file(self) -> Path:
        """The repository's key, where that has none in itself."""
        return self.bundle / KEY_FILE

    @property
    def generations(self) -> Path:
        """One directory for each delivered bundle, named by its number."""
        return self.ssh / "backups.d"

    @property
    def bond(self) -> Path:
        """Which qube has the bundle, by Xen's handle; never out of an archive, which is older."""
        return self.state / "qube"

    @property
    def settings_directory(self) -> Path:
        """What belongs to the user: patterns and settings."""
        return self.home / ".config" / "qubes-borg"

    @property
    def state(self) -> Path:
        """What belongs to us: lock, last result, proof file, manifest."""
        return self.home / ".local" / "state" / "qubes-borg"

    @property
    def proof(self) -> Path:
        """The random file that is in every archive."""
        return self.home / kept.PROOF

    @property
    def manifest(self) -> Path:
        """What dom0 said last that this qube is; it is in every archive since."""
        return self.home / kept.MANIFEST

    @property
    def stage(self) -> Path:
        """Where a restore in place extracts to; what a cut one left is no file of the user's."""
        return self.state / "restoring"

    @property
    def placing(self) -> Path:
        """Of which archive a restore in place has begun to put files where they were."""
        return self.state / "placing"

    @property
    def secrets(self) -> tuple[Path, ...]:
        """What is never backed up and never restored."""
        borg = (self.home / ".config" / "borg", self.home / ".cache" / "borg")
        return (self.bundle, self.generations, self.bond, *borg)

    def make_state(self) -> None:
        """See that the directory of our state is there."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)


def own_paths() -> Paths:
    """Answer the places of the user we run as, by the password database."""
    return Paths(Path(pwd.getpwuid(getuid()).pw_dir))


def relative(path: Path) -> str:
    """Answer how borg names a path in an archive: without the leading slash."""
    return str(path).lstrip("/")
