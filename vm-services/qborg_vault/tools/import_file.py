"""Put the records of a KeePassXC database, made by qborg-vault-export, back into this vault.

For a new computer, or a new vault, of which nothing is left but this file. It is only read. What
the vault has newer stays, and doing it twice changes nothing.

The account's record says which qube looks after the server; the vault will again take records for
other qubes from a qube of that name alone, so give the new maintenance qube the old name. A vault
that keeps the account of another maintenance qube takes none of it: import into a fresh vault.

examples:
  qborg-vault-import ~/Passwords.kdbx                asks for its master password
  qborg-vault-import ~/P.kdbx --machine laptop       if it holds two computers: one of them
  qborg-vault-import ~/P.kdbx --key-file ~/P.keyx
"""

import argparse
from collections.abc import Sequence

from qborg_borg.recovery_record import Kind, RecoveryRecord
from qborg_vault import export, kdbx_records
from qborg_vault.keepass import Database, DatabaseRefused
from qborg_vault.store import own_vault
from qborg_vault.tools import database


def main(args: Sequence[str] | None = None) -> int:
    """Import; answers 0, or 1 after telling why not, or that a record is damaged."""
    parser = database.parser("qborg-vault-import", __doc__ or "")
    parser.add_argument("--machine", metavar="NAME", help="take only what belongs to this computer")
    return database.run(parser.parse_args(args), _import)


def _import(options: argparse.Namespace) -> int:
    path = database.require(options)
    key = database.key(options, f"Master password of {path.name}: ")
    found = kdbx_records.records_from(export.document(Database(path, key)))
    records = _of_one_machine(found.records, options.machine)
    taken = own_vault().take_back(records)
    words = {True: "taken", False: "as it was"}
    facts: dict[str, object] = {
        "taken": [kdbx_records.title(each) for each in records if each.digest in taken],
        "kept": [kdbx_records.title(each) for each in records if each.digest not in taken],
        "damaged": list(found.damaged),
    }
    lines = [f"{kdbx_records.title(each)}: {words[each.digest in taken]}" for each in records]
    end = f"{len(taken)} records were taken into this vault" if taken else "nothing was changed"
    if not any(each.kind is Kind.ACCOUNT for each in records):
        lines.append("the account is not among them: the server's admin key is not known here")
    database.say(options, facts, [*lines, end])
    if found.damaged:
        return database.tell(f"the record in the entry `{found.damaged[0]}` is damaged",
                             "look for a good one in the entry's history")  # fmt: skip
    return 0


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
