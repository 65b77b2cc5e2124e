"""Make the kit of a vault: the account and its repositories, as one HTML file and one text.

Runs in the vault. Whoever reads either file can read every backup in it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qborg_borg.process import home
from qborg_borg.recovery_record import Kind, RecoveryRecord
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_vault.kit import html, qr, sheet, text
from qborg_vault.store import Vault

FOLDER = "qubes-borg-kit"


@dataclass(frozen=True)
class Printed:
    """A kit that was made: its name without the ends .html and .txt, and what stands in it."""

    name: str
    repositories: int


def make(vault: Vault, wanted: Sequence[str]) -> Printed:
    """Write the kit of these repositories, of all if none is named.

    Raises ServiceFailure: record-missing, record-refused, program-missing; then nothing is written.
    """
    account, repositories = _records(vault, wanted)
    pages = sheet.pages(account, repositories)
    files = {"html": html.render(pages, qr.svg), "txt": text.render(pages)}
    name = time.strftime("kit-%Y-%m-%d")
    folder = Path(home()) / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for end, content in files.items():
        write_private(folder / f"{name}.{end}", content.encode("utf-8"))
    return Printed(name, len(repositories))


def _records(vault: Vault, wanted: Sequence[str]) -> tuple[RecoveryRecord, list[RecoveryRecord]]:
    found = [stored.newest for each in vault.repositories() if (stored := vault.newest(each))]
    accounts = [each for each in found if each.kind is Kind.ACCOUNT]
    if not accounts:
        raise ServiceFailure("record-missing", "the vault holds no record of the account")
    known = {str(each.repository): each for each in found if each.kind is Kind.REPOSITORY}
    for name in wanted:
        if name not in known:
            raise ServiceFailure("record-missing", f"the vault holds no record of {name}")
    chosen = [known[name] for name in sorted(set(wanted) or known)]
    # The account's record is made at each publication, so it knows the name of today.
    renamed = {"remote_borg": accounts[0].values["remote_borg"]}
    return accounts[0], [replace(each, values={**each.values, **renamed}) for each in chosen]
