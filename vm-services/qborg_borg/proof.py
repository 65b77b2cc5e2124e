"""Prove that a repository opens and gives back a file: list, read one file, tell its digest.

Runs in clients, with what the bundle holds, and in workers, with what a recovery record holds. The
caller gives borg an empty base directory, so nothing that this qube's borg remembers can help.
"""

import hashlib
from dataclasses import dataclass

from qborg_borg import archives, command
from qborg_borg.process import home, run_borg
from qborg_service.failure import ServiceFailure

FILE = ".local/state/qubes-borg/proof"  # in the home of whoever is backed up; new for each archive
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
    path = f"{home()}/{FILE}".lstrip("/")
    tail = command.extract_to_stdout(access, archive, path)
    outcome = run_borg(tail, access, timeout=_SECONDS, limit=_LIMIT)
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    if not outcome.stdout or outcome.stdout_cut:
        raise ServiceFailure("source-missing", "the archive does not hold the proof file")
    return Proof(len(listed), hashlib.sha256(outcome.stdout).hexdigest())
