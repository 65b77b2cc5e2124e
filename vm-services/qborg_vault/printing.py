"""A kit out of the vault's records: which go into it, and its two files for a printer.

Runs in the vault. Nothing is written unless every named record is there, and every page drawn.
"""

import contextlib
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qborg_borg.recovery_record import Kind, RecoveryRecord
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_vault.kit import html, layout, qr, sheet, text
from qborg_vault.store import Stored, Vault
from qborg_wire.names import Repository

FOLDER = "qubes-borg-kit"


@dataclass(frozen=True)
class Chosen:
    """What goes into a kit: the account's record and those of the repositories, by name.

    Of `older` ones, by name, the newest record is damaged and one of before is in it; of `missing`
    ones none can be read.
    """

    account: RecoveryRecord
    repositories: tuple[RecoveryRecord, ...]
    older: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def choose(vault: Vault, machine: str, wanted: Sequence[Repository], others: bool) -> Chosen:
    """Answer the newest records of a computer: the account's, the wanted ones, or all it has.

    Raises record-missing for one that is not there, record-refused for the account or a wanted one
    of which none can be read; among all it has, that one is left out.
    """
    account = vault.account(machine)
    if account is None:
        raise ServiceFailure("record-missing", f"the vault holds no account of {machine}")
    if any(each.machine != machine for each in wanted):
        raise ServiceFailure("bad-request", "a repository of another computer")
    more = [each for each in vault.repositories() if each.machine == machine] if others else []
    found, missing = dict[str, Stored](), list[str]()
    for each in sorted({account.repository, *wanted, *more}, key=str):
        try:
            stored = vault.newest(each)
        except ServiceFailure:
            if not others:
                raise
            missing.append(str(each))
            continue
        if stored is None:
            raise ServiceFailure("record-missing", f"the vault holds no record of {each}")
        found[str(each)] = stored
    # The account's record is made at each publication, so it knows borg's name of today.
    renamed = {"remote_borg": account.values["remote_borg"]}
    repositories = (each.newest for each in found.values() if each.newest.kind is Kind.REPOSITORY)
    return Chosen(
        account, tuple(replace(each, values={**each.values, **renamed}) for each in repositories),
        tuple(name for name, each in found.items() if each.damaged), tuple(missing))


def name_of_today() -> str:
    """Answer the two files' common name, below the home and less what they end with."""
    return f"{FOLDER}/kit-{time.strftime('%Y-%m-%d')}"


def write(home: Path, chosen: Chosen, name: str, draw: html.Draw = qr.svg) -> int:
    """Write the kit for a browser and as text over one of the same day; answers its pages.

    Raises program-missing without qrencode, OSError; then the old files are as they were.
    """
    pages = layout.fitted(sheet.pages(chosen.account, chosen.repositories))
    made = {".html": html.render(pages, draw), ".txt": text.render(pages)}
    _have_folder(home / FOLDER)
    for suffix, document in made.items():
        write_private(home / f"{name}{suffix}", document.encode("ascii"))
    return len(pages)


def _have_folder(path: Path) -> None:
    """Have the directory, closed to others whoever made it; raises ServiceFailure."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    about = path.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise ServiceFailure("internal", f"~/{FOLDER} is in the way: it is no directory of ours")
    path.chmod(0o700)
