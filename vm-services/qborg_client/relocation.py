"""Borg's notes of where a repository lies, after it was moved.

Runs in clients. Borg asks before it uses a repository in another place than it remembers; of any
but this one it shall go on asking.
"""

import re
from pathlib import Path

from qborg_client.paths import Paths
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.names import Repository

_LIMIT = 65536
_PLACE = re.compile(rb"^(previous_location = )([^\n]*)$", re.MULTILINE)


def tell_borg(
    paths: Paths, repository: Repository, *, repository_id: str = "*", former: bytes | None = None
) -> None:
    """Write the place of the repository into the notes that there are of it.

    They are known by borg's id, or by the URL that it had.
    """
    url = repository.url.encode("ascii")

    def now(place: bytes) -> bytes:
        return url if place and former in (None, place) else place

    for note in paths.home.glob(f".config/borg/security/{repository_id}/location"):
        _rewrite(note, now(read(note)))
    for cache in paths.home.glob(f".cache/borg/{repository_id}/config"):
        _rewrite(cache, _PLACE.sub(lambda match: match[1] + now(match[2]), read(cache)))


def read(path: Path) -> bytes:
    """Answer a file, empty where it cannot be read."""
    try:
        return read_limited(path, _LIMIT)
    except (FileRefused, OSError):
        return b""


def _rewrite(path: Path, text: bytes) -> None:
    if text != read(path):
        write_private(path, text)
