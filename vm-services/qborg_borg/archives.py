"""Which archives a repository holds, asked of borg.

Runs in clients and workers. The list comes from the server's side of things, so each name is
parsed.
"""

import json

from qborg_borg import command
from qborg_borg.outcome import Outcome
from qborg_borg.process import run_borg
from qborg_service.failure import ServiceFailure
from qborg_wire import names

_SECONDS = 240.0
_LIMIT = 32 * 1024 * 1024  # some hundred thousand archives


def newest(access: command.Access, qube: str) -> str:
    """Answer the newest complete archive of this qube's own backups."""
    found = _run(command.newest_archive(access, qube), access)
    if not found:
        raise ServiceFailure("archive-missing", "the repository holds no archive of this qube")
    try:
        return names.parse(names.ARCHIVE, 100, found[-1])
    except names.NameRefused as error:
        raise ServiceFailure("archive-missing", "the newest archive has a strange name") from error


def listed(access: command.Access) -> tuple[object, ...]:
    """Answer the names of all complete archives, oldest first, unparsed."""
    return _run(command.list_archives(access), access)


def _run(tail: list[str], access: command.Access) -> tuple[object, ...]:
    outcome = run_borg(tail, access, timeout=_SECONDS, limit=_LIMIT)
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    return read_names(outcome)


def read_names(outcome: Outcome) -> tuple[object, ...]:
    """Answer the names in a listing, unparsed; raises ServiceFailure if it is no listing."""
    try:
        untrusted_archives = json.loads(outcome.stdout)["archives"]
        return tuple(untrusted_archive["name"] for untrusted_archive in untrusted_archives)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ServiceFailure("borg-failed", "borg's list of archives is not its JSON") from error
