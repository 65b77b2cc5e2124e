"""What this qube saw of each repository on the server, so that a later look can compare.

Runs in the maintenance qube. What was seen stays until a person accepts what is there now, so a
repository that went back is told at every look. A lost or damaged file is a first look.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from qborg_maintenance.segments import Log, Search
from qborg_maintenance.state import State
from qborg_service.files import FileRefused, read_limited, write_private

FINE, DELETIONS, SHRUNK, UNCLEAR = "fine", "deletions", "shrunk", "unclear"
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Seen:
    """The most that was seen of a repository, by borg's id of it.

    `size` in bytes; `looked`: up to which segment it was searched for deletions; `deleted`: the
    newest segment that only deletes; `when`: at the last look, in seconds since 1970.
    """

    repository_id: str
    transaction: int = 0
    size: int = 0
    looked: int = 0
    deleted: int = 0
    when: int = 0

    def with_log(self, log: Log, search: Search) -> "Seen":
        """Answer what was seen by now."""
        if log.transaction < self.transaction or log.size < self.size:
            return self
        return replace(self, transaction=log.transaction, size=log.size, looked=search.until,
                       deleted=search.deleted or self.deleted)

    def finds(self, log: Log, search: Search) -> str:
        """Answer in one word what has become of the repository since."""
        if log.transaction < self.transaction or log.size < self.size:
            return SHRUNK
        if search.deleted or self.deleted:
            return DELETIONS
        return UNCLEAR if search.until < log.transaction else FINE


def accepted(log: Log) -> Seen:
    """Answer what there is now as all that was ever seen."""
    return Seen(log.repository_id, log.transaction, log.size, log.transaction)


def load(state: State) -> dict[str, Seen]:
    """Answer what was seen, by the repositories' names."""
    with suppress(FileNotFoundError, FileRefused, ValueError, TypeError, AttributeError,
                  RecursionError):
        stored = json.loads(read_limited(state.seen, _LIMIT))
        found = {str(name): Seen(**entry) for name, entry in stored.items()}
        if all(_is_whole(each) for each in found.values()):
            return found
    return {}


def _is_whole(seen: Seen) -> bool:
    name, *numbers = vars(seen).values()
    return isinstance(name, str) and all(type(number) is int for number in numbers)


def store(state: State, seen: Mapping[str, Seen]) -> None:
    """Write down what was seen; the caller holds the state's lock."""
    text = json.dumps({name: asdict(each) for name, each in seen.items()}, sort_keys=True)
    write_private(state.seen, text.encode("ascii"))
