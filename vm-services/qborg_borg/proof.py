"""Prove that a repository opens and gives back a file: read one, tell its digest.

Runs in clients, with what the bundle holds, and in workers, with what a recovery record holds. The
caller gives borg an empty base directory, so nothing that this qube's borg remembers can help.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass

from qborg_borg import archives, command, kept
from qborg_borg.process import OnLook, home, run_borg
from qborg_service.failure import ServiceFailure

_SECONDS = 4 * 3600.0  # for one file borg goes through the list of all, and is silent meanwhile
_LIMIT = 4096


@dataclass(frozen=True)
class Proof:
    """How many archives there are and the digest of the proof file in the one asked for."""

    archives: int
    digest: str


class _Enough(Exception):
    """No more of a file is read."""


def listed(access: command.Access, archive: str, works: OnLook) -> Proof:
    """Prove an archive, and tell how many there are beside; raises ServiceFailure as `digest` does.
    """
    names = archives.listed(access)
    if archive not in names:
        raise ServiceFailure("archive-missing", f"not in the repository: {archive}")
    return Proof(len(names), digest(access, archive, works))


def digest(access: command.Access, archive: str, works: OnLook) -> str:
    """Answer that of the proof file, read out of an archive; raises ServiceFailure with the cause.

    `works` is called as long as borg reads.
    """
    found = read_file(access, archive, kept.PROOF, _LIMIT, works)
    if not found or len(found) > _LIMIT:
        raise ServiceFailure("source-missing", "the archive does not hold the proof file")
    return hashlib.sha256(found).hexdigest()


def read_file(
    access: command.Access, archive: str, name: str, limit: int, works: OnLook
) -> bytes | None:
    """Answer a file of the home out of an archive, None if there is none of that name.

    Of one that is longer than `limit`, more comes, and borg is ended: it may be one without an end.
    `works` is called as long as borg reads. Raises ServiceFailure with the cause.
    """
    found = bytearray()

    def take(chunk: bytes) -> None:
        found.extend(chunk)
        if len(found) > limit:
            raise _Enough

    tail = command.extract_to_stdout(access, archive, f"{home()}/{name}".lstrip("/"))
    with suppress(_Enough):
        outcome = run_borg(tail, access, timeout=_SECONDS, on_stdout=take, on_look=works)
        if outcome.cause is not None:
            raise ServiceFailure(outcome.cause, outcome.detail)
        # Borg warns of a name that nothing has; a link, or an empty file, prints nothing either.
        if outcome.code and not found:
            return None
    return bytes(found)
