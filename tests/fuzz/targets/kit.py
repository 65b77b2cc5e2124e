"""A kit that a person has typed: its records as they were printed, or the line with the mistake."""

from fuzz.target import Shape, Target, Vocabulary
from fuzz.targets import recovery_record as records
from fuzz.targets import samples
from qborg_borg import recovery_record
from qborg_vault.kit import rows, sheet, text, typed
from qborg_vault.kit.rows import KitRefused

_LIMIT = 1 << 16  # of the inputs here; the reader bounds the number of lines
_ACCOUNT = recovery_record.parse(records.account())
_WORK = recovery_record.parse(records.repository())
_PRIVATE = _WORK.values["private_key"]
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
