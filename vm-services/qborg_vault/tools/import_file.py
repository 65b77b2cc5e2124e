"""Put the records of a KeePassXC database, or of a printed kit, back into this vault.

For a new computer, or a new vault, of which nothing is left but the file that qborg-vault-export
wrote, or the kit. The file is only read. What the vault has newer stays, and doing it twice changes
nothing.

With --kit it is a text file into which the rows and numbered lines of a kit's pages were typed: the
account's, and those of some or all repositories. Each line with a typing error is named. A kit has
no ssh keys of qubes, so each repository gets a new one, which the server does not know yet.

The account's record says which qube looks after the server; the vault will again take records for
other qubes from a qube of that name alone, so give the new maintenance qube the old name. A vault
that keeps the account of another maintenance qube takes none of it: import into a fresh vault.

examples:
  qborg-vault-import ~/Passwords.kdbx                asks for its master password
  qborg-vault-import ~/P.kdbx --machine laptop       if it holds two computers: one of them
  qborg-vault-import ~/P.kdbx --key-file ~/P.keyx
  qborg-vault-import --kit ~/typed.txt
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from qborg_borg.recovery_record import Kind, RecoveryRecord
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited
from qborg_vault import export, kdbx_records, key_pair
from qborg_vault.kdbx_records import Found
from qborg_vault.keepass import Database, DatabaseRefused
from qborg_vault.kit import typed
from qborg_vault.kit.rows import KitRefused
from qborg_vault.store import own_vault
from qborg_vault.tools import database

_KIT_LIMIT = 4 << 20  # bytes
_AGAIN = "mend that and run the command again: what was taken stays, and the rest is taken then"


def main(args: Sequence[str] | None = None) -> int:
    """Import; answers 0, or 1 after telling why not, or that a record is damaged."""
    known = parser()
    options = known.parse_args(args)
    if options.kit and (options.fd is not None or options.key_file or options.no_password):
        known.error("a kit has no password and no key file")
    return database.run(options, _import)


def parser() -> argparse.ArgumentParser:
    """Answer what knows the options; what they may not be together, main() looks at."""
    made = database.parser("qborg-vault-import", __doc__ or "")
    made.add_argument("--machine", metavar="NAME", help="take only what belongs to this computer")
    made.add_argument("--kit", action="store_true", help="FILE is what was typed off a kit")
    return made


def _import(options: argparse.Namespace) -> int:
    found = _of_kit(options.file) if options.kit else _of_database(options)
    records = _of_one_machine(found.records, options.machine)
    taken, stopped = _take(records)
    words = {True: "taken", False: "as it was" if stopped is None else "not taken yet"}
    facts: dict[str, object] = {
        "taken": [kdbx_records.title(each) for each in records if each.digest in taken],
        "kept": [kdbx_records.title(each) for each in records if each.digest not in taken],
        "damaged": list(found.damaged),
    }
    lines = [f"{kdbx_records.title(each)}: {words[each.digest in taken]}" for each in records]
    end = f"{len(taken)} records were taken into this vault" if taken else "nothing was changed"
    if not any(each.kind is Kind.ACCOUNT for each in records):
        lines.append("the account is not among them: the server's admin key is not known here")
    if options.kit and taken:
        lines.append("each repository has a new ssh key here; the server does not know it yet")
    database.say(options, facts, [*lines, end])
    if stopped is not None:
        return database.tell(f"the others were not taken: {database.told(stopped)[0]}", _AGAIN)
    if found.damaged:
        return database.tell(f"the record in the entry `{found.damaged[0]}` is damaged",
                             "look for a good one in the entry's history")  # fmt: skip
    return 0


def _take(records: Sequence[RecoveryRecord]) -> tuple[set[str], OSError | ServiceFailure | None]:
    """Answer the digests of what was taken, and what stopped it after some were.

    Raises what stopped it before any was.
    """
    taken = set[str]()
    try:
        for digest in own_vault().take_back(records):
            taken.add(digest)
    except (OSError, ServiceFailure) as error:
        if not taken:
            raise
        return taken, error
    return taken, None


def _of_database(options: argparse.Namespace) -> Found:
    path = database.require(options)
    key = database.key(options, f"Master password of {path.name}: ")
    return kdbx_records.records_from(export.document(Database(path, key)))


def _of_kit(path: Path) -> Found:
    """Answer the records that were typed off a kit; raises DatabaseRefused."""
    untrusted_text = read_limited(path.resolve(), _KIT_LIMIT).decode("utf-8", "replace")
    try:
        records = typed.records(untrusted_text.split("\n"), key_pair.make)
    except KitRefused as error:
        raise DatabaseRefused(f"{path.name}: {error}", "mend that and run the command again; "
                              "nothing was changed") from error  # fmt: skip
    return Found(kdbx_records.in_order(records), ())


def _of_one_machine(
    records: Sequence[RecoveryRecord], machine: str | None
) -> list[RecoveryRecord]:
    """Answer the records of one computer: a vault serves one, and its account decides."""
    machines = sorted({each.repository.machine for each in records})
    if not machines:
        raise DatabaseRefused(
            "there are no records of qubes-borg in it",
            "is it the file that qborg-vault-export wrote? a .before- file beside it is older",
        )
    if machine is None and len(machines) > 1:
        raise DatabaseRefused(f"it holds the records of {', '.join(machines)}",
                              "say which with --machine")  # fmt: skip
    if machine is not None and machine not in machines:
        raise DatabaseRefused("it holds no record of that computer",
                              f"it holds those of {', '.join(machines)}")  # fmt: skip
    wanted = machine or machines[0]
    return [each for each in records if each.repository.machine == wanted]
