"""Prove that the bundle alone opens the repository: list, read a file back, tell its digest.

Runs in clients until a worker does it. borg gets an empty base directory, so nothing that this
qube's borg remembers can help; ssh still uses the bundle.
"""

import hashlib
import tempfile
from dataclasses import dataclass

from qborg_borg import command
from qborg_borg.bundle import Bundle
from qborg_borg.process import run_borg
from qborg_client import archives, backup
from qborg_client.paths import Paths, relative
from qborg_service.failure import ServiceFailure

_SECONDS = 240.0
_LIMIT = 4096


@dataclass(frozen=True)
class Proof:
    """How many archives there are and the digest of the proof file in the one asked for."""

    archives: int
    digest: str


def run(paths: Paths, bundle: Bundle, archive: str) -> Proof:
    """Read the proof file out of an archive; raises ServiceFailure with the cause."""
    with tempfile.TemporaryDirectory(prefix="qborg-prove-") as base_dir:
        access = backup.access(paths, bundle, base_dir)
        listed = archives.listed(access)
        if archive not in listed:
            raise ServiceFailure("archive-missing", f"not in the repository: {archive}")
        tail = command.extract_to_stdout(access, archive, relative(paths.proof))
        outcome = run_borg(tail, access, timeout=_SECONDS, limit=_LIMIT)
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    if not outcome.stdout or outcome.stdout_cut:
        raise ServiceFailure("source-missing", "the archive does not hold the proof file")
    return Proof(len(listed), hashlib.sha256(outcome.stdout).hexdigest())
