"""What a record looks like in a user's database, and the record read back out of it.

Runs in the vault. Pure. The record itself is one protected field of its entry, byte by byte: the
text that KeePassXC gives out holds fields and no attachments. The rest is for a person to use.
"""

import base64
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from qborg_borg import recovery_record
from qborg_borg.key_export import KEYFILE
from qborg_borg.recovery_record import Kind, RecordRefused, RecoveryRecord
from qborg_vault.kdbx_text import Document, Entry
from qborg_vault.kit import sheet, words

FIELD = "qubes-borg record"
_NAMESPACE = uuid.UUID("5f1a3a52-6a0c-4c5e-9d8e-3b1f0c7e2a94")  # of all UUIDs that are ours
_ABOUT = (
    "Made by qborg-vault-export, which writes it anew when its record changes: keep what is your "
    "own in another entry. qborg-vault-import FILE.kdbx gives the record back to a vault."
)
_SSH = words.rsh("ssh-key")
_ASKED = "borg asks for the passphrase: the password of this entry. "
_REPOKEY = (
    f"{_ASKED}Where it says that the key is missing, or refuses the passphrase, put the key back "
    "first:", "", 'borg key import "$BORG_REPO" borg-key',
)  # fmt: skip
_KEY_FILE = (
    f"{_ASKED}The server does not have the repository's key: it is the attachment borg-key, and "
    "without that file nobody opens it.",
)
_FIRST = (
    "Without Qubes, on any Linux with ssh and borg 1.2 or 1.4: save the attachments into one empty "
    "directory (KeePassXC: Advanced, Attachments, Save), open a terminal there, and type:"
)


@dataclass(frozen=True)
class Content:
    """What an entry of ours holds: its fields, and its attachments by name."""

    fields: dict[str, str] = field(repr=False)
    files: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Found:
    """The records in a database, the newest of each, and the titles of damaged ones."""

    records: tuple[RecoveryRecord, ...]
    damaged: tuple[str, ...]


def made_uuid(name: str) -> str:
    """Answer the UUID in base64 that is always the same for a name of ours."""
    return base64.b64encode(uuid.uuid5(_NAMESPACE, name).bytes).decode("ascii")


def title(record: RecoveryRecord) -> str:
    """Answer the title of a record's entry; a second computer has its own account entry."""
    name = f"account of {record.repository.machine}"
    return name if record.kind is Kind.ACCOUNT else str(record.repository)


def entry_uuid(record: RecoveryRecord) -> str:
    """Answer the UUID of a record's entry, the same for each of its versions."""
    return made_uuid(f"{record.kind.value} {title(record)}")


def content(record: RecoveryRecord) -> Content:
    """Answer what stands in the entry of a record."""
    values = record.values
    files = {"ssh-key": values["private_key"], "known_hosts": sheet.known_hosts(record)}
    if record.kind is Kind.REPOSITORY:
        url, steps = sheet.url(record), _repository_steps(record)
        files["borg-key"] = values["key_export"]
    else:
        url, steps = f"ssh://{values['account']}@{values['host']}:{values['port']}", _account_steps(
            record)
    fields = {
        "Title": title(record), "UserName": values["account"], "URL": url,
        "Password": values.get("passphrase", ""), "Notes": "\n".join((_ABOUT, "", _FIRST, *steps)),
        FIELD: spell(record),
    }  # fmt: skip
    return Content(fields, files)


def spell(record: RecoveryRecord) -> str:
    """Answer the record's own bytes, from which its digest was made."""
    return recovery_record.encode(record.kind, record.repository, record.values).decode("ascii")


def read(entry: Entry) -> RecoveryRecord | None:
    """Answer the record in an entry, None if there is none; raises RecordRefused."""
    untrusted_text = entry.strings.get(FIELD)
    return None if untrusted_text is None else recovery_record.parse(
        untrusted_text.encode("utf-8", "replace"))


def records_from(document: Document) -> Found:
    """Answer every record of a database: the newest of each, the recycle bin looked through too.

    What KeePassXC keeps as an entry's history is left out.
    """
    newest: dict[str, RecoveryRecord] = {}
    damaged = []
    for entry in document.entries:
        try:
            record = read(entry)
        except RecordRefused:
            damaged.append(entry.strings.get("Title", ""))
            continue
        if record is not None:
            name = title(record)
            if name not in newest or newest[name].made < record.made:
                newest[name] = record
    return Found(in_order(newest.values()), tuple(sorted(damaged)))


def in_order(records: Iterable[RecoveryRecord]) -> tuple[RecoveryRecord, ...]:
    """Answer the records, accounts first: with them a vault learns who may add for others."""
    return tuple(sorted(records, key=lambda each: (each.kind is not Kind.ACCOUNT, title(each))))


def _repository_steps(record: RecoveryRecord) -> tuple[str, ...]:
    key_file = record.values["encryption"] == KEYFILE
    return (
        "", "chmod 600 ssh-key", *_SSH,
        f"export BORG_REPO={sheet.url(record)}",
        f"export BORG_REMOTE_PATH={record.values['remote_borg']}",
        *["export BORG_KEY_FILE=borg-key"] * key_file,
        "borg list", "borg extract ::ARCHIVE", "",
        "Where it says Permission denied, the server does not know this ssh-key (of a former "
        "repository, a revoked qube, a record typed off a kit): put the attachment ssh-key of the "
        f"entry `account of {record.repository.machine}` in its place, which opens all, and go on "
        "at chmod.", "",
        *(_KEY_FILE if key_file else _REPOKEY),
    )  # fmt: skip


def _account_steps(record: RecoveryRecord) -> tuple[str, ...]:
    values = record.values
    return (
        "", "chmod 600 ssh-key", *_SSH,
        f"$BORG_RSH -p {values['port']} {values['account']}@{values['host']} ls repos", "",
        "Each repository has its own entry, with its passphrase and its own key.",
    )  # fmt: skip
