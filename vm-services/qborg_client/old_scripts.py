"""What the old scripts left in a qube: a plain ~/.ssh/backups, its job, borg's notes of its place.

Runs in clients. Nothing of it is deleted: the directory goes beside the generations, which no
backup takes, and the job stays in the crontab as a comment.
"""

import os
import re
from collections.abc import Iterator

from qborg_client import relocation
from qborg_client.paths import Paths
from qborg_wire.names import Repository

_ASIDE = "old-scripts"
_FILES = ("borgpass", "borgrepo")
_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_JOB = re.compile(rb"(?=[^#\n])[^\n]*\bborgmatic -c \S*/\.ssh/backups/borgmatic\.cfg[^\n]*\n?")


def found(paths: Paths) -> bool:
    """Tell whether ~/.ssh/backups is the old scripts' own directory."""
    if paths.bundle.is_symlink() or not paths.bundle.is_dir():
        return False
    plain = all((paths.bundle / name).is_file() for name in _FILES)
    return plain and any(paths.bundle.glob("*.openssh"))


def put_aside(paths: Paths) -> None:
    """Move the old directory among the generations, if it is there."""
    if found(paths):
        taken = [path.name for path in paths.generations.glob(f"{_ASIDE}*")]
        name = next(name for name in _names() if name not in taken)
        os.rename(paths.bundle, paths.generations / name)


def _names() -> Iterator[str]:
    number = 1
    while True:
        yield _ASIDE if number == 1 else f"{_ASIDE}-{number}"
        number += 1


def without_job(crontab: bytes) -> bytes:
    """Answer the crontab with the old scripts' job made a comment."""
    lines = crontab.splitlines(keepends=True)
    return b"".join(
        b"# put aside by qubes-borg: " + line if _JOB.fullmatch(line) else line for line in lines
    )


def tell_borg(paths: Paths, repository: Repository) -> None:
    """Write the repository's new place into borg's notes of the one that moved."""
    name = relocation.read(paths.bundle / "borgrepo").rstrip(b"\n").rpartition(b":repos/")[2]
    if _NAME.fullmatch(name) is not None:
        relocation.tell_borg(paths, repository, former=b"ssh://bakserver/./repos/" + name)
