"""What stands on a kit, for text and HTML alike: pages of headed blocks, made from the records.

The steps, the account, one page for each repository, and as many more as long keys take. A page is
plain data.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from qborg_borg.recovery_record import RecoveryRecord
from qborg_vault.kit import paper_key, typed, words
from qborg_vault.kit.rows import rows

_CODE = 900  # bytes: with more, a code on paper is too fine for a camera
_COMMAND = 66  # characters of a command beside the codes


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
    """One subject: its title, a line below it, blocks, and codes beside them.

    `narrow`: the blocks leave the codes' room, though there may be none on this page.
    """

    title: str
    below: str
    blocks: tuple[Block, ...]
    codes: tuple[Code, ...] = ()
    narrow: bool = False


def pages(account: RecoveryRecord, repositories: Sequence[RecoveryRecord]) -> list[Page]:
    """Answer the page of the steps, the account's, and one for each repository in their order."""
    return [_steps(account), _account(account), *map(_repository, repositories)]


def _steps(account: RecoveryRecord) -> Page:
    values = account.values
    return Page(
        f"Recovery kit of the computer {account.repository.machine}",
        f"{values['account']}@{values['host']}, record of {_day(account)}",
        (
            Block("What this is", words.WHAT),
            Block("By hand, on any Linux machine", words.STEPS_NOTE, words.steps(values["port"])),
            Block("Back into a vault of Qubes", words.QUBES, words.QUBES_STEPS),
        ),
    )


def _account(record: RecoveryRecord) -> Page:
    values = typed.of_account(record)
    check = {typed.CHECK: typed.check(values)}
    lines = [row for label, text in (values | check).items() for row in rows(label, text)]
    codes = (*_codes("admin-key", record.values["private_key"]),
             *_codes("known_hosts", known_hosts(record)))  # fmt: skip
    notes = [words.HOW_TO_TYPE]
    notes += [words.LOCKED] * (not values["admin-key"].startswith(typed.UNLOCKED))
    notes += [words.PARTS] * (len(codes) > 2)
    return Page(
        "The account",
        f"computer {record.repository.machine}, record of {_day(record)}, digest "
        f"{record.digest[:16]}",
        (Block("Its rows", " ".join(notes), tuple(lines)),), codes,
    )  # fmt: skip


def _repository(record: RecoveryRecord) -> Page:
    found, values = record.values, typed.of_repository(record)
    plain = [row for label, text in values.items() if label not in typed.OF_KEY
             for row in rows(label, text)]  # fmt: skip
    where = (*_set("BORG_REPO", url(record)), f"BORG_REMOTE_PATH={found['remote_borg']}",
             "export BORG_REPO BORG_REMOTE_PATH")  # fmt: skip
    what = ("borg list", "borg extract ::ARCHIVE")
    asked = words.ASKED_CODED if typed.CODED in values else words.ASKED
    key = ('borg key import --paper "$BORG_REPO"', *paper_key.lines(found["key_export"]),
           *rows(typed.CHECK, typed.check(values)))  # fmt: skip
    blocks: tuple[Block, ...]
    if found["encryption"].startswith("keyfile"):
        blocks = (Block("Where it is", words.AFTER, where),
                  Block("Its key", words.IMPORT_FIRST, key), Block("Use it", asked, what))
    else:
        blocks = (Block("Use it", f"{words.AFTER} {asked}", (*where, *what)),
                  Block(words.REFUSED, words.IMPORT, key))  # fmt: skip
    return Page(
        f"Repository {record.repository}",
        f"qube {record.repository.qube}, record of {_day(record)}, digest {record.digest[:16]}",
        (Block("Its passphrase and place", "", tuple(plain)), *blocks),
        (*_codes("passphrase", found["passphrase"]), *_codes("key file", found["key_export"])),
    )


def known_hosts(record: RecoveryRecord) -> str:
    """Answer the line that pins the server's key, as ssh writes it."""
    host, port = record.values["host"], record.values["port"]
    place = host if port == "22" else f"[{host}]:{port}"
    return f"{place} {record.values['host_key']}\n"


def url(record: RecoveryRecord) -> str:
    """Answer the repository's URL for the admin key: without the alias that qubes have."""
    found = record.values
    return f"ssh://{found['account']}@{found['host']}:{found['port']}/./{record.repository.path}"


def _codes(name: str, text: str) -> list[Code]:
    """Answer a text's code, or several that hold its parts in their order."""
    parts = [text[start : start + _CODE] for start in range(0, len(text), _CODE)]
    if len(parts) == 1:
        return [Code(name, text)]
    return [Code(f"{name}, part {number} of {len(parts)}", part)
            for number, part in enumerate(parts, 1)]  # fmt: skip


def _set(name: str, value: str) -> list[str]:
    """Answer the lines that set a variable, none of them wider than the page."""
    lines = [f"{name}={value}"]
    while len(lines[-1]) > _COMMAND:
        lines[-1:] = [lines[-1][:_COMMAND], f"{name}=${{{name}}}{lines[-1][_COMMAND:]}"]
    return lines


def _day(record: RecoveryRecord) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(record.made))
