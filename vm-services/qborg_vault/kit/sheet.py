"""What stands on a kit, for text and HTML alike: pages of headed blocks, made from the records.

One page for the account with the steps, one for each repository. A page is plain data.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from qborg_borg.recovery_record import Kind, RecoveryRecord
from qborg_vault.kit import paper_key, words
from qborg_vault.kit.rows import rows


@dataclass(frozen=True)
class Block:
    """Lines under a heading; `typed` ones are set in a fixed width, `note` above as prose."""

    heading: str
    note: str = ""
    typed: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Code:
    """A QR code: what it is called, where its text goes, and the text."""

    name: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Page:
    """One subject: its title, a line below it, blocks, and codes at its end."""

    title: str
    below: str
    blocks: tuple[Block, ...]
    codes: tuple[Code, ...] = ()


def pages(account: RecoveryRecord, repositories: Sequence[RecoveryRecord]) -> list[Page]:
    """Answer the account's page and one for each repository, in their order."""
    return [_account(account), *(_repository(each) for each in repositories)]


def pages_of(record: RecoveryRecord) -> list[Page]:
    """Answer the page of one record alone."""
    return [_account(record) if record.kind is Kind.ACCOUNT else _repository(record)]


def _account(record: RecoveryRecord) -> Page:
    values = record.values
    kind, blob = values["host_key"].split(" ")
    key = values["private_key"].split("\n")[1:-2]
    typed = [
        *rows("host", values["host"]), *rows("port", values["port"]),
        *rows("account", values["account"]), *rows("host-key-type", kind),
        *rows("host-key", blob), *rows("machine", record.repository.machine),
        *rows("machine-id", values["machine_id"]), *rows("admin-key", "".join(key)),
    ]  # fmt: skip
    place = f"{values['account']}@{values['host']}"
    return Page(
        f"Recovery kit for {place}",
        f"computer {record.repository.machine}, printed from the record of {_day(record)}",
        (
            Block("What this is", words.WHAT),
            Block("The account", words.HOW_TO_TYPE, tuple(typed)),
            Block("Open the backups on any Linux machine", words.STEPS_NOTE,
                  words.steps(values["port"])),
        ),
        (Code("admin-key", values["private_key"]), Code("known_hosts", known_hosts(record))),
    )


def _repository(record: RecoveryRecord) -> Page:
    values, name = record.values, str(record.repository)
    typed = [
        *rows("repository", name), *rows("remote-borg", values["remote_borg"]),
        *rows("encryption", values["encryption"]), *rows("passphrase", values["passphrase"]),
    ]  # fmt: skip
    return Page(
        f"Repository {name}",
        f"qube {record.repository.qube}, record of {_day(record)}, digest {record.digest[:16]}",
        (
            Block("Its passphrase and place", "", tuple(typed)),
            Block("Use it", words.USE, (
                f"export BORG_REPO={url(record)}",
                f"export BORG_REMOTE_PATH={values['remote_borg']}",
                "borg list", "borg extract ::ARCHIVE")),
            Block("If borg says that the key is missing, or refuses the passphrase", words.IMPORT, (
                'borg key import --paper "$BORG_REPO"',
                *paper_key.lines(values["key_export"]))),
        ),
        (Code("passphrase", values["passphrase"]), Code("key file", values["key_export"])),
    )  # fmt: skip


def known_hosts(record: RecoveryRecord) -> str:
    """Answer the line that pins the server's key, as ssh writes it."""
    host, port = record.values["host"], record.values["port"]
    place = host if port == "22" else f"[{host}]:{port}"
    return f"{place} {record.values['host_key']}\n"


def url(record: RecoveryRecord) -> str:
    """Answer the repository's URL for the admin key: without the alias that qubes have."""
    found = record.values
    return f"ssh://{found['account']}@{found['host']}:{found['port']}/./{record.repository.path}"


def _day(record: RecoveryRecord) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(record.made))
