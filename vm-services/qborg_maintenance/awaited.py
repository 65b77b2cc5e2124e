"""A list of keys that is not ours to write: which clients' lines are really there, and hold.

Runs in the maintenance qube, with the client's own key as long as that is here. Nothing is
believed of the list itself: a fresh login shows what the key opens. Append-only alone cannot be
seen without a backup to delete. A key whose secrets are elsewhere is offered: is it taken at all?
"""

import dataclasses
import re
from collections.abc import Callable, Sequence

from qborg_borg import birth
from qborg_borg.command import Access
from qborg_maintenance import key_offer, keys, registry, repository, ssh_config
from qborg_maintenance.connection import Connection
from qborg_maintenance.keys import ClientKeys
from qborg_maintenance.registry import Entry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.names import Repository, parse_repository

_SECONDS = 60.0
_SERVES = re.compile(rb"^Borg 1\.[^\n]{1,40}: Got connection close", re.MULTILINE)
_AWAY = ("server-unreachable", "connection-failed")
_ANOTHER = "-another"  # behind a repository's path: no repository of ours has this name


def lacking(
    state: State, settings: Settings, wanted: Sequence[str], tries: Callable[[], None]
) -> tuple[str, ...]:
    """Answer which of these repositories no login by their own key reaches yet.

    `tries` is called before each try, of which one may take two minutes. Raises
    publish-refused for a key that opens more, or something else, than its line would.
    """
    waiting, known = list[str](), registry.load(state, settings).repositories
    for name in wanted:
        try:
            is_there = _is_there(state, settings, parse_repository(name), known.get(name), tries)
        except ServiceFailure as failure:
            # For a while sshd refuses an address that has offered it keys which it does not take.
            if not waiting or failure.cause not in _AWAY:
                raise
            is_there = False
        if not is_there:
            waiting.append(name)
    return tuple(waiting)


def _is_there(
    state: State, settings: Settings, name: Repository, known: Entry | None,
    tries: Callable[[], None],
) -> bool:
    tries()
    if known and keys.forgotten(state, name):
        # Of a rotation the next one; the line of the former was tried at the enrolment.
        return key_offer.is_taken(settings, known.keys()[-1])
    _entry, secrets = keys.require(state, settings, name)
    if not _accepted(settings, secrets):
        return False
    tries()
    with repository.opened(settings, secrets) as access:
        _check_paths(str(name), access)
    return True


def _accepted(settings: Settings, secrets: ClientKeys) -> bool:
    """Tell whether the client's key is taken; raises publish-refused if it runs what it likes."""
    with ssh_config.written(ssh_config.ADMIN, settings, secrets.private) as private:
        try:
            # To a forced borg the second word is the command; to anything else, a file's name.
            finished = Connection(private / "ssh_config", None).run("cat", "serve")
        except ServiceFailure as failure:
            if failure.cause == "login-refused":
                return False
            raise
    # Whatever is asked for, a forced command answers, and it must be borg.
    if not _SERVES.search(finished.stdout + finished.stderr):
        raise _more(str(secrets.repository), "is not held to borg serve")
    return True


def _check_paths(name: str, access: Access) -> None:
    other = dataclasses.replace(access, url=f"{access.url}{_ANOTHER}")
    if _is_shut(access):
        raise _more(name, "does not open its own repository")
    if not _is_shut(other):
        raise _more(name, "opens other repositories")


def _is_shut(access: Access) -> bool:
    # Without its cache: with it, each try would fetch what is known of all archives.
    outcome = birth.look(access, _SECONDS)
    if outcome.cause in ("connection-failed", "server-unreachable", "host-key-changed"):
        raise ServiceFailure(outcome.cause, outcome.detail)
    return any(record.msgid == "PathNotAllowed" for record in outcome.records)


def _more(name: str, what: str) -> ServiceFailure:
    return ServiceFailure("publish-refused", f"the key of {name} {what}: its line is another one")
