"""A repository made, or found to be ours; its key exported, and put under another passphrase.

Runs at the keyholder: in the maintenance qube, or in a client with `--keys client`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qborg_borg import command, key_export
from qborg_borg.command import Access
from qborg_borg.key_export import KEYFILE, ExportRefused, KeyExport
from qborg_borg.outcome import Outcome
from qborg_borg.process import run_borg
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited, sync_directory, write_private
from qborg_service.secret import Secret

EXPORT_LIMIT = 16384  # bytes
_SECONDS = 120.0
# What `borg init` says where something lies already; some of it has no name of its own in borg.
_IN_THE_WAY = frozenset({"repository-exists", "borg-failed"})
# What borg says of a repository whose birth was cut short, by power or a full disk.
_UNBORN = frozenset({"repository-missing", "keys-missing", "borg-failed"})


def make(
    access: Access, encryption: str, exported: Path, set_aside: Callable[[], bool]
) -> bool:
    """Make the repository unless it is there and ours; answers whether it was made now.

    `exported` is where an earlier run may have kept its key. `set_aside` moves what a cut birth
    left out of the way, and tells whether it could. Raises ServiceFailure: repository-exists if
    another passphrase made it, or borg's cause.
    """
    key = access.key_file
    if key is None:
        raise TypeError("a birth needs a place for a key file")
    _bring_back(access, key, exported, encryption)
    if key.exists() and look(access).cause == "repository-missing":
        _put_aside(key)  # of one that was put aside; borg makes none beside it
    made = run_borg(command.init(access, encryption), access, timeout=_SECONDS)
    if made.cause in _IN_THE_WAY:
        _bring_back(access, key, exported, encryption)  # a server may have been away for a moment
        found = look(access)
        if found.cause is None:
            _aside(key).unlink(missing_ok=True)
            return False
        if found.cause == "wrong-passphrase":
            raise ServiceFailure("repository-exists", f"{access.url} is not ours to open")
        if found.cause not in _UNBORN or not set_aside():
            check(made if made.cause != "repository-exists" else found)
        _put_aside(key)
        made = run_borg(command.init(access, encryption), access, timeout=_SECONDS)
    check(made)
    _aside(key).unlink(missing_ok=True)
    return True


def _aside(key: Path) -> Path:
    return key.with_name(f"{key.name}.aside")


def _put_aside(key: Path) -> None:
    """Have the key out of borg's way, and not lost: it may be the only one of a repository."""
    if key.exists():
        key.rename(_aside(key))
        sync_directory(key.parent)


def _bring_back(access: Access, key: Path, exported: Path, encryption: str) -> None:
    """Have the key again that a killed or failed run put aside, or one that only its export has.

    Where the key is in the repository, borg needs no file, and there shall be none.
    """
    if key.exists():
        return
    if _aside(key).exists():
        _aside(key).rename(key)
    elif encryption == KEYFILE and exported.exists() and look(access).cause == "keys-missing":
        found = read_limited(exported, EXPORT_LIMIT)
        parse_export(found)
        write_private(key, found)


def look(access: Access, seconds: float = _SECONDS) -> Outcome:
    """Answer how an attempt to open the repository ends.

    Without its cache, which takes long to make of many archives: the archives of nobody are listed.
    """
    return run_borg(command.own_archives(access, "none"), access, timeout=seconds)


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
