"""A repository deleted on the server, if it is surely the one that was made here.

Runs in the maintenance qube; it sees files of the account, not whose they are. A directory of
that name is ours only by the id that borg gave it at its birth: what is in its place else is kept.
"""

import re
from collections.abc import Callable

from qborg_maintenance.files import ROOT, Files
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository

_CONFIG = re.compile(rb"\[repository\]\r?\n.*?^id = ([0-9a-f]{64})\r?$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(rb"[0-9]{1,9}")


def kept(detail: str) -> ServiceFailure:
    """Answer the failure for a repository that is left as it is."""
    return ServiceFailure("repository-kept", detail)


def borg_id(files: Files, path: str) -> str | None:
    """Answer the id that borg gave what lies there, None if it is no repository."""
    config = _CONFIG.match(files.read(f"{path}/config") or b"")
    return config and config[1].decode("ascii")


def is_ours(files: Files, repository: Repository, repository_id: str) -> bool:
    """Answer whether it is there; raises repository-kept for anything else in its place."""
    path = repository.path
    if not files.exists(path):
        return False
    found = borg_id(files, path)
    if found is None:
        raise kept(f"{path} is no repository")
    if found != repository_id:
        raise kept(f"{path} is not known to be the one that was made here")
    return True


def delete(
    files: Files, repository: Repository, repository_id: str, works: Callable[[], None]
) -> bool:
    """Delete it, or what a killed run left of it; answers whether there was any.

    It is renamed first, so that no half of it stands under its name. `works` is called before
    each part. Raises repository-kept.
    """
    gone = f"{ROOT}/.deleted-{repository}"  # no repository's name begins with a dot
    begun = files.exists(gone)
    if begun:
        _clear(files, gone, works)
    there = is_ours(files, repository, repository_id)
    if there:
        if files.move(repository.path, gone).code != 0:
            raise kept(f"the server does not move {repository.path}")
        _clear(files, gone, works)
    return begun or there


def _clear(files: Files, gone: str, works: Callable[[], None]) -> None:
    # Part by part: each command has a minute, and a large repository may need longer.
    for name in sorted(files.names(f"{gone}/data") or ()):
        if _NUMBER.fullmatch(name):
            works()
            files.remove_tree(f"{gone}/data/{name.decode('ascii')}")
    works()
    files.remove_tree(gone)
    if files.exists(gone):
        raise kept(f"the server does not delete all of {gone}")
