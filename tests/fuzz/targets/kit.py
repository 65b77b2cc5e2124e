"""A kit that a person has typed: its records as they were printed, or the line with the mistake."""

import base64

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import samples
from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_vault.kit import rows, sheet, text, typed
from qborg_vault.kit.rows import KitRefused
from qborg_wire.names import Repository

_LIMIT = 1 << 16  # of the inputs here; the reader bounds the number of lines
_KEY = "".join(f"{'A' * 70}\n" for _line in range(3))
_PRIVATE = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{_KEY}-----END OPENSSH PRIVATE KEY-----\n"
_COMMON = {
    "made": "1764000000", "nonce": samples.NONCE, "host": "backup.example", "port": "22",
    "account": "zh1", "host_key": samples.ed25519(1), "remote_borg": "borg14",
}  # fmt: skip
_EXPORT = f"BORG_KEY {samples.DIGEST}\n{base64.b64encode(bytes(range(40))).decode('ascii')}\n"
_ACCOUNT = recovery_record.parse(recovery_record.encode(
    Kind.ACCOUNT, Repository("dom", "keeper"), _COMMON | {
        "machine_id": samples.MACHINE_ID, "epoch": "3", "private_key": _PRIVATE,
        "registry": "{}\n"}))  # fmt: skip
_WORK = recovery_record.parse(recovery_record.encode(
    Kind.REPOSITORY, Repository("dom", "work"), _COMMON | {
        "encryption": "repokey-blake2", "passphrase": "p" * 43, "private_key": _PRIVATE,
        "public_key": samples.ed25519(2), "key_export": _EXPORT}))  # fmt: skip
_KNOWN = {typed.check(typed.of_account(_ACCOUNT)), typed.check(typed.of_repository(_WORK))}
_SAID = Vocabulary(
    rows, typed,
    inserts=r"[0-9, ]{1,120}|`[a-z-]{1,20}:?`|`1:`|the record's [a-z_]+ is malformed"
            r"|a character or shape that is not allowed|not a text, or too long"
            r"|a name that Qubes reserves|the record names no repository",
)  # fmt: skip


def one(data: bytes) -> str:
    """Hold the reader to its contract for one file."""
    lines = data.decode("utf-8", "replace").split("\n")
    try:
        found = typed.records(lines, lambda: (_PRIVATE, samples.ed25519(2)))
    except KitRefused as error:
        return _SAID.told(str(error))
    account, *repositories = found
    pages = [typed.of_account(account), *map(typed.of_repository, repositories)]
    # Whoever cannot compute the checks can only have typed what was printed.
    assert {typed.check(page) for page in pages} <= _KNOWN
    printed = text.render(sheet.pages(account, repositories)).split("\n")
    again = typed.records(printed, lambda: (_PRIVATE, samples.ed25519(2)))
    assert [each.repository for each in again] == [each.repository for each in found]
    return f"accepted, {len(found)} records"


def _kit(*repositories: recovery_record.RecoveryRecord) -> bytes:
    return text.render(sheet.pages(_ACCOUNT, repositories)).encode("ascii")


TARGET = Target(
    "kit", one, (_kit(_WORK), _kit()),
    (*samples.WORDS, b"1/1", b"1/2", b"2/2", b"999/999", b"[0000]", b"check 1/1", b"host 1/1",
     b"repository 1/1", b"phrase-coded 1/1", b"id: 1 / ", b"1: ", b" - 00", b"\f", b"%20", b"%25"),
    Shape.LINES, _LIMIT,
)  # fmt: skip
