"""Put the recovery records of this vault into your own KeePassXC database.

One entry for the account and one for each repository, in the group `qubes-borg`, with the
passphrase, the keys, and how to get the files back with plain borg. Run it again after every
change: what is as it was stays, a newer record replaces its entry, whose former state goes into
its history. Your own entries are not touched.

The old file stays beside the new one as FILE.kdbx.before-DATE-TIME; remove it when you like.
KeePassXC may have the file open: it notices the new one and reads it, or asks to merge if you
have not saved yet. Whoever has this file and its password can read every backup.

examples:
  qborg-vault-export ~/Passwords.kdbx        into your database; asks for its master password
  qborg-vault-export --new ~/borg.kdbx       into a new one; asks for a new password
  qborg-vault-export ~/P.kdbx --key-file ~/P.keyx
  qborg-vault-export ~/P.kdbx --json --password-fd 3 3< PIPE      in a script

`qborg-vault-import` puts the records back into a vault.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from qborg_borg.recovery_record import RecoveryRecord
from qborg_service.failure import ServiceFailure
from qborg_vault import export, kdbx_records, keepass
from qborg_vault.export import Exported
from qborg_vault.kdbx_change import Change
from qborg_vault.keepass import DatabaseRefused
from qborg_vault.store import own_vault
from qborg_vault.tools import database


def main(args: Sequence[str] | None = None) -> int:
    """Export; answers 0, or 1 after telling why not, or that a record is damaged."""
    return database.run(parser().parse_args(args), _export)


def parser() -> argparse.ArgumentParser:
    """Answer what knows the options."""
    made = database.parser("qborg-vault-export", __doc__ or "")
    made.add_argument("--new", action="store_true", help="make the database; none is replaced")
    return made


def _export(options: argparse.Namespace) -> int:
    records, damaged = _records()
    if options.new:
        path, done = _create(options, records)
    else:
        path = database.require(options)
        export.require_closed(path)
        key = database.key(options, f"Master password of {path.name}: ")
        done = export.merge(path, key, records, own_vault().superseded())
    _say(options, path, done, damaged)
    if damaged:
        return database.tell(damaged[0], f"the other records were exported; {database.DAMAGED}")
    return 0


def _create(
    options: argparse.Namespace, records: Sequence[RecoveryRecord]
) -> tuple[Path, Exported]:
    keepass.require_program()
    if options.key_file is not None or options.no_password:
        raise DatabaseRefused("--new makes a database with a password alone",
                              "add a key file to it in KeePassXC, then")  # fmt: skip
    path: Path = options.file.resolve()
    if path.exists():
        raise export.exists(path)
    key = database.key(options, f"New master password of {path.name}: ", "The same again: ")
    return path, export.create(path, key, records)


def _records() -> tuple[list[RecoveryRecord], list[str]]:
    """Answer the newest readable record of each, and what is to be said of damaged ones."""
    vault = own_vault()
    records, damaged = [], []
    for repository in vault.repositories():
        try:
            stored = vault.newest(repository)
        except ServiceFailure as failure:
            damaged.append(failure.detail)
            continue
        if stored is not None:
            records.append(stored.newest)
        if stored is not None and stored.damaged:
            damaged.append(f"the newest record of {repository} in the vault is damaged; an older "
                           "one was exported, whose key may be a former one")  # fmt: skip
    if not records and not damaged:
        raise DatabaseRefused("this qube keeps no records", "run this in the vault, as its "
                              "ordinary user, after `qvm-borg-enroll` in dom0")  # fmt: skip
    return records, damaged


def _say(
    options: argparse.Namespace, path: Path, done: Exported, damaged: Sequence[str]
) -> None:
    named = {each: [kdbx_records.title(step.record) for step in done.steps if step.change is each]
             for each in Change}  # fmt: skip
    runs = export.keepassxc_runs()
    facts: dict[str, object] = {
        "database": str(path), "kept": None if done.kept is None else str(done.kept),
        "added": named[Change.ADDED], "renewed": named[Change.RENEWED],
        "same": named[Change.SAME], "newer": named[Change.NEWER],
        "damaged": list(damaged), "keepassxc_runs": runs,
    }  # fmt: skip
    lines = [f"{name}: {each.value}" for each in Change for name in named[each]]
    changed = any(step.writes for step in done.steps)
    lines.append(f"{len(done.steps)} records are in {path}" if changed else "nothing was changed")
    if done.kept is not None:
        lines.append(f"the file as it was before is {done.kept}")
    if named[Change.NEWER]:
        lines.append("what the database has newer, `qborg-vault-import` takes into this vault")
    if changed and runs:
        lines.append("KeePassXC runs: if it has the file open, let it reload or merge the file")
    database.say(options, facts, lines)
