"""One good value for each field of the services table, and what a choosing byte means."""

from fuzz.targets import samples
from qborg_wire.row import Field, Service
from qborg_wire.services import SERVICES

# The rows whose request is a JSON object and whose reply dom0 reads.
ROWS = tuple(row for row in SERVICES.values() if not row.record)
# The target of the others' request, which is one record and nothing around it.
RECORDS = {
    "InstallBundle": "bundle", "StoreRecord": "recovery-record", "AcceptRecord": "recovery-record",
    "TakeRecord": "recovery-record", "AcceptAccount": "recovery-record",
}  # fmt: skip
_CANDIDATES = (
    "yes", "ok", "running", "reachable", "repokey-blake2", samples.NAME, samples.MACHINE,
    samples.NONCE, samples.DIGEST, samples.FINGERPRINT, samples.ed25519(2), "22", "7", "1.4.0",
    "50G", "made", "/home/user/restored", "work-2026-01-02T03:04:05", "backup.example", "success",
    "0f0e0d0c-0b0a-4908-8706-050403020100", "qubes-borg-kit/kit-2026-01-02",
    '"class AppVM\\nlabel red"',
    f"qubes-work,made,{samples.FINGERPRINT},{samples.DIGEST},9,7,22,7,fine",
    '[{"name":"work-2026-01-02T03:04:05","time":1}]', '["/home/user/a b\\u001b"]',
)  # fmt: skip


def row_of(byte: int) -> Service:
    """Answer the row that a choosing byte stands for."""
    return ROWS[byte % len(ROWS)]


def byte_of(row: Service) -> bytes:
    """Answer a byte that chooses a row."""
    return bytes([ROWS.index(row)])


def good(field: Field) -> str:
    """Answer a value that matches a field; of a choice of words the first."""
    word = field.pattern.pattern.partition("|")[0].replace("\\", "")
    return next(text for text in (*_CANDIDATES, word)
                if len(text) <= field.limit and field.pattern.fullmatch(text))


def good_request(row: Service) -> dict[str, str | tuple[str, ...]]:
    """Answer the values of a good request."""
    return {
        field.name: (good(field), good(field)) if field.many else good(field)
        for field in row.request
    }


def good_reply(row: Service) -> dict[str, str]:
    """Answer the values of a good reply."""
    return {field.name: good(field) for field in row.reply}
