"""Where is measured: a lab with work enrolled and the data that the backups take.

Runs on a developer's host.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import Lab
from scenarios import person

DATA = "/home/user/data"
REPOSITORY = "ssh://bakserver/./repos/qubes-work"
WORLD = Path(__file__).parent / "world.toml"
BORG = (
    "env", f"BORG_REPO={REPOSITORY}", "BORG_REMOTE_PATH=borg14",
    "BORG_RSH=ssh -F /home/user/.ssh/backups/bakserver",
    "BORG_PASSCOMMAND=cat /home/user/.ssh/backups/borgpass", "/usr/bin/borg",
)  # fmt: skip
# New bytes in the same shape: FILES small ones, and the rest of BYTES in pieces of 64 MiB.
_MAKE = """
import os, shutil, sys
folder, files, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
shutil.rmtree(folder, ignore_errors=True)
for number in range(files):
    place = f"{folder}/small/{number // 100}"
    os.makedirs(place, exist_ok=True)
    with open(f"{place}/{number}", "wb") as file:
        file.write(os.urandom(4096))
os.makedirs(f"{folder}/big", exist_ok=True)
left, number = max(0, total - 4096 * files), 0
while left:
    with open(f"{folder}/big/{number}", "wb") as file:
        for _piece in range(64):
            size = min(left, 1 << 20)
            left -= file.write(os.urandom(size))
    number += 1
"""


@dataclass(frozen=True)
class Size:
    """How much is measured: files, bytes, repeats, and how many qubes are a crowd."""

    files: int = 10_000
    bytes: int = 10**9
    repeats: int = 7
    crowd: int = 100

    @property
    def quick(self) -> int:
        """How often what takes a second is repeated: where the median needs more rounds."""
        return 3 * self.repeats - 2


@dataclass(frozen=True)
class Place:
    """A lab and the size of what is measured in it."""

    lab: Lab
    size: Size

    def dom0(self, *command: str) -> None:
        """Run a command in dom0, which must succeed."""
        person.runs(self.lab, *command, timeout=3600)

    def qube(self, *command: str, cwd: str = "/home/user", name: str = "work") -> bytes:
        """Run a command in a qube, which must succeed; answers its output."""
        done = self.lab.exec(name, list(command), cwd=cwd, timeout=3600)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def makes_data(self) -> None:
        """Have all data in work made anew: not a byte of it was there before."""
        self.qube(*makes(DATA, self.size))
        self.next_second()

    def next_second(self) -> None:
        """Wait until an archive gets another name than the last one."""
        time.sleep(1 - time.time() % 1)

    def ready(self) -> None:
        """Go back to where nothing is enrolled and the maintenance qube runs."""
        self.lab.restore("ready")

    def enrolled(self) -> None:
        """Go back to where work is enrolled and runs, with one small archive."""
        self.lab.restore("enrolled")


def makes(folder: str, size: Size) -> Sequence[str]:
    """Answer the command that makes the data in a folder."""
    return ("python3", "-c", _MAKE, folder, str(size.files), str(size.bytes))


def prepares(lab: Lab) -> None:
    """Set a fresh lab up, and keep the two states that the rows start from."""
    person.sets_up(lab)
    lab.snapshot("ready")
    person.runs(lab, "qvm-borg-enroll", "work", "--no-escrow")
    lab.snapshot("enrolled")
