"""A repository made, or found to be ours; its key exported, and put under another passphrase.

Runs at the keyholder: in the maintenance qube, or in a client with `--keys client`.
"""

from collections.abc import Callable
from dataclasses import replace

from qborg_borg import command, key_export
from qborg_borg.command import Access
from qborg_borg.key_export import ExportRefused, KeyExport
from qborg_borg.outcome import Outcome
from qborg_borg.process import run_borg
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

EXPORT_LIMIT = 16384  # bytes
_SECONDS = 120.0
# What `borg init` says where something lies already; some of it has no name of its own in borg.
_IN_THE_WAY = frozenset({"repository-exists", "borg-failed"})
# What borg says of a repository whose birth was cut short, by power or a full disk.
_UNBORN = frozenset({"repository-missing", "keys-missing", "borg-failed"})


def make(access: Access, encryption: str, set_aside: Callable[[], bool]) -> bool:
    """Make the repository unless it is there and ours; answers whether it was made now.

    `set_aside` moves what a cut birth left out of the way, and tells whether it could. Raises
    ServiceFailure: repository-exists if another passphrase made it, or borg's cause.
    """
    made = run_borg(command.init(access, encryption), access, timeout=_SECONDS)
    if made.cause in _IN_THE_WAY:
        found = look(access)
        if found.cause is None:
            return False
        if found.cause == "wrong-passphrase":
            raise ServiceFailure("repository-exists", f"{access.url} is not ours to open")
        if found.cause not in _UNBORN or not set_aside():
            check(made if made.cause != "repository-exists" else found)
        made = run_borg(command.init(access, encryption), access, timeout=_SECONDS)
    check(made)
    return True


def look(access: Access, seconds: float = _SECONDS) -> Outcome:
    """Answer how an attempt to open the repository ends.

    Without its cache, which takes long to make of many archives: the archives of nobody are listed.
    """
    return run_borg(command.newest_archive(access, "none"), access, timeout=seconds)


def check(outcome: Outcome) -> None:
    """Raise ServiceFailure unless borg did its work."""
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)


def export(access: Access) -> bytes:
    """Answer the exported key; raises ServiceFailure."""
    outcome = run_borg(command.export_key(access), access, timeout=_SECONDS, limit=EXPORT_LIMIT)
    check(outcome)
    parse_export(outcome.stdout)
    return outcome.stdout


def parse_export(untrusted_export: bytes) -> KeyExport:
    """Answer what an exported key is; raises borg-failed."""
    try:
        return key_export.parse(untrusted_export)
    except ExportRefused as error:
        raise ServiceFailure("borg-failed", f"borg exported {error}") from error


def change_passphrase(access: Access, new: Secret) -> None:
    """Put the repository's key under another passphrase, unless it is; re-encrypts no archive.

    `access` has the old one. Raises wrong-passphrase if neither of them opens it.
    """
    changed = replace(access, passphrase=new)
    found = look(changed)
    if found.cause == "wrong-passphrase":
        # Borg takes a passphrase out of its environment for the new one too, so it has to ask.
        answers = (access.passphrase, new, new)
        typed = Secret(b"".join(b"%b\n" % each.reveal() for each in answers))
        check(run_borg(command.change_passphrase(access), access, timeout=_SECONDS, typed=typed))
        found = look(changed)
    check(found)
