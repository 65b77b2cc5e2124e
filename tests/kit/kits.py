"""Kits of all lengths: with the longest key, host and names of a record, and as usual."""

import random
import string
from collections.abc import Callable
from pathlib import Path

from qborg_borg import recovery_record
from qborg_borg.recovery_record import RecoveryRecord
from qborg_vault.kit import sheet
from qborg_vault.kit.sheet import Page
from qborg_wire.names import Repository
from unit.vault import records

EXPORT = (Path(__file__).parents[1] / "unit/vault/borg-key-export.txt").read_text("ascii")
NOW = 1764000000
_BASE64 = string.ascii_letters + string.digits + "+/"
_DICE = random.Random(1)


def _base64(count: int) -> str:
    return "".join(_DICE.choices(_BASE64, k=count))


def _private(count: int) -> str:
    """Answer a private key of so many characters, as RSA keys are long."""
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAA" + _base64(count - 55)
    lines = [body[start : start + 70] for start in range(0, len(body), 70)]
    return "\n".join(
        ("-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""))


def _account(**changes: str) -> RecoveryRecord:
    found = recovery_record.parse(records.account(NOW))
    return recovery_record.parse(recovery_record.encode(
        found.kind, found.repository, {**found.values, **changes}))  # fmt: skip


def _work(about: Repository = records.WORK, **changes: str) -> RecoveryRecord:
    return recovery_record.parse(
        records.repository(NOW, about, **{"key_export": EXPORT} | changes))


HOST = ".".join(("a" * 60, "W" * 63, "m" * 63, "w" * 63))  # 252 characters, the wide ones too
LONGEST = [Repository("m" * 16, f"W{'w' * 28}{number:02}") for number in range(40)]
KITS: dict[str, Callable[[], list[Page]]] = {
    "usual": lambda: sheet.pages(_account(), [_work()]),
    "no-repository": lambda: sheet.pages(_account(), []),
    "long-host": lambda: sheet.pages(
        _account(host=HOST, port="65535"), [_work(host=HOST, port="65535", account="a" * 32)]),
    "rsa-host-key": lambda: sheet.pages(
        _account(host_key="ssh-rsa AAAAB3NzaC1yc2EA" + _base64(1380)), []),
    "rsa-admin-key": lambda: sheet.pages(_account(private_key=_private(3380)), [_work()]),
    "longest-admin-key": lambda: sheet.pages(_account(private_key=_private(6900)), []),
    "all-of-it": lambda: sheet.pages(
        _account(host=HOST, port="2222", private_key=_private(3380),
                 host_key="ssh-rsa AAAAB3NzaC1yc2EA" + _base64(1380)),
        [_work(host=HOST, port="2222", passphrase="% " * 31 + "x", encryption="keyfile-blake2")]),
    "forty": lambda: sheet.pages(_account(), [_work(about) for about in LONGEST]),
}  # fmt: skip
