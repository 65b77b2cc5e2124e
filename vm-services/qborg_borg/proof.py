"""Prove that a repository opens and gives back a file: list, read one file, tell its digest.

Runs in clients, with what the bundle holds, and in workers, with what a recovery record holds. The
caller gives borg an empty base directory, so nothing that this qube's borg remembers can help.
"""

import hashlib
from dataclasses import dataclass

from qborg_borg import archives, command
from qborg_borg.process import home, run_borg
from qborg_service.failure import ServiceFailure

# In the home of whoever is backed up: new for each archive, and what dom0 says that the qube is.
FILE = ".local/state/qubes-borg/proof"
MANIFEST = ".local/state/qubes-borg/manifest"
_SECONDS = 240.0
_LIMIT = 4096


@dataclass(frozen=True)
class Proof:
    """How many archives there are and the digest of the proof file in the one asked for."""

    archives: int
    digest: str


def read_back(access: command.Access, archive: str) -> Proof:
    """Read the proof file out of an archive; raises ServiceFailure with the cause."""
    listed = archives.listed(access)
    if archive not in listed:
        raise ServiceFailure("archive-missing", f"not in the repository: {archive}")
    found = read_file(access, archive, FILE, _LIMIT)
    if not found or len(found) > _LIMIT:
        raise ServiceFailure("source-missing", "the archive does not hold the proof file")
    return Proof(len(listed), hashlib.sha256(found).hexdigest())


def read_file(access: command.Access, archive: str, name: str, limit: int) -> bytes | None:
    """Answer a file of the home out of an archive, None if there is none of that name.

    Of one that is longer than `limit`, one byte more comes. Raises ServiceFailure with the cause.
    """
    tail = command.extract_to_stdout(access, archive, f"{home()}/{name}".lstrip("/"))
    outcome = run_borg(tail, access, timeout=_SECONDS, limit=limit + 1)
    # Whoever wrote a file without an end there made borg run out of time, too.
    if outcome.cause is not None and not outcome.stdout_cut:
        raise ServiceFailure(outcome.cause, outcome.detail)
    # Borg warns of a name that nothing has; a link, or an empty file, prints nothing either.
    return outcome.stdout if outcome.stdout or not outcome.code else None
