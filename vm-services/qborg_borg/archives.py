"""Which archives a repository holds, and since when, asked of borg.

Runs in clients and workers. The list comes from the server's side of things, so each name is
parsed.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from qborg_borg import command
from qborg_borg.outcome import Outcome
from qborg_borg.process import run_borg
from qborg_service.failure import ServiceFailure
from qborg_wire import names

_SECONDS = 180.0  # beside those that it may wait for a lock
LATEST = "latest"
_UNTIL = re.compile("until:(0|[1-9][0-9]{0,11})")
_YOUNGEST = 9999999999  # seconds since 1970, of which a reply can tell
_AHEAD = 600  # seconds that the clocks of two qubes may differ by
_LIMIT = 32 * 1024 * 1024  # some hundred thousand archives


@dataclass(frozen=True)
class Kept:
    """One complete archive: its name, and when it was made in seconds since 1970."""

    name: str
    made: int


def named(access: command.Access, archive: str, qube: str) -> str:
    """Answer the name of an archive that was asked for: of LATEST that of the newest.

    Of until:SECONDS, that of the newest which is not younger. Raises archive-missing without one.
    """
    if match := _UNTIL.fullmatch(archive):
        return _newest_until(access, int(match[1]), qube)
    return newest(access, qube) if archive == LATEST else archive


def kept(access: command.Access) -> tuple[list[Kept], int]:
    """Answer the complete archives, newest first, and how many have no name or time to be told."""
    return _kept(command.list_archives(access), access)


def _kept(tail: list[str], access: command.Access) -> tuple[list[Kept], int]:
    untrusted_archives = _entries(_asked(tail, access))
    found = list(_read(untrusted_archives))
    return (sorted(found, key=lambda each: (each.made, each.name), reverse=True),
            len(untrusted_archives) - len(found))


def _own(access: command.Access, qube: str) -> list[Kept]:
    """Answer the archives of this qube's own backups, none that a person made."""
    own = re.compile(re.escape(qube) + command.STAMP)
    found, _strange = _kept(command.own_archives(access, qube), access)
    return [each for each in found if own.fullmatch(each.name)]


def _newest_until(access: command.Access, until: int, qube: str) -> str:
    found = _own(access, qube)
    for each in found:
        if each.made <= until:
            return each.name
    reason = f"none is that old; the oldest is {found[-1].name}" if found else "there is none"
    # A qube that goes on with another one's repository has the archives of that one's name too.
    if any(each.made <= until for each in kept(access)[0]):
        reason = "none of its own backups is that old; --list shows older ones under another name"
    raise ServiceFailure("archive-missing", reason)


def _read(untrusted_archives: Sequence[Any]) -> Iterator[Kept]:
    """Answer what a listing says, less what cannot be told."""
    for untrusted_archive in untrusted_archives:
        try:
            name = names.parse(names.ARCHIVE, 100, untrusted_archive["name"])
            made = int(_time(untrusted_archive["time"]).timestamp())
        except (names.NameRefused, KeyError, TypeError, ValueError, OverflowError):
            continue
        if 0 <= made <= _YOUNGEST:
            yield Kept(name, made)


def _time(untrusted_text: str) -> datetime:
    """Answer a time as borg writes it, whose zone is UTC here if it names none."""
    moment = datetime.fromisoformat(untrusted_text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def newest(access: command.Access, qube: str) -> str:
    """Answer the newest complete archive of this qube's own backups; waits for another's lock.

    Of a clock that was ahead one may lie in the future: that is taken only where no other one is,
    since it hides all that were made after it. Raises archive-missing without any.
    """
    found, latest = _own(access, qube), time.time() + _AHEAD
    if not found:
        raise ServiceFailure("archive-missing", "the repository holds no archive of this qube")
    return next((each for each in found if each.made <= latest), found[0]).name


def listed(access: command.Access) -> tuple[object, ...]:
    """Answer the names of all complete archives, oldest first, unparsed."""
    return _run(command.list_archives(access), access)


def _run(tail: list[str], access: command.Access) -> tuple[object, ...]:
    return read_names(_asked(tail, access))


def _asked(tail: list[str], access: command.Access) -> Outcome:
    outcome = run_borg(tail, access, timeout=_SECONDS + access.lock_wait, limit=_LIMIT)
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    return outcome


def read_names(outcome: Outcome) -> tuple[object, ...]:
    """Answer the names in a listing, unparsed; raises ServiceFailure if it is no listing."""
    return tuple(untrusted_archive["name"] for untrusted_archive in _entries(outcome))


def _entries(outcome: Outcome) -> tuple[Any, ...]:
    """Answer the archives of a listing, each with a name, unparsed; raises ServiceFailure."""
    try:
        untrusted_archives = json.loads(outcome.stdout)["archives"]
        for untrusted_archive in untrusted_archives:
            untrusted_archive["name"]
        return tuple(untrusted_archives)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ServiceFailure("borg-failed", "borg's list of archives is not its JSON") from error
