"""What dom0 remembers of an enrolled qube: one feature with one line of JSON.

Runs in dom0; pure. It is a cache: the server's block and the maintenance qube's registry are
truer. A text that is bad or foreign is no record.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from qborg_wire import names

FEATURE = "x-qborg"
WHOLE = "x-qborg-whole"  # the feature of when its newest backup began that it told of itself
# The feature of the time of dom0's backup of it that the server, as it showed, has not got.
LACKING = "x-qborg-lacking"
SECRETS = "secrets"  # the note that those of a qube are not fresh, and why
IMPORTED = "imported from the old scripts; they count as leaked until they are rotated"
KEYS, BY_CLIENT = "keys", "made in the qube itself"  # the note of who is its keyholder
# The notes of a rotation that is unfinished: its random name, the record before, what is new; the
# fingerprint of its key; the repository that it goes on with; the name that its former one gets.
ROTATION, NEXT, CONTINUES, FORMER = "rotation", "next", "continues", "former"
ENCRYPTION, REPOKEY, KEYFILE = "encryption", "repokey-blake2", "keyfile-blake2"
BYTES = "bytes"  # the note of how many its last archive holds
FIRST = "0" * 32  # in the place of a rotation's name: the enrolment
REVISIONS = "revisions"  # the digest of its volume's, when dom0 had backed it up and halted it
RESTORE = "restore"  # the note of the archive whose files a qube that was made again has to get
NO_ESCROW, ESCROWED = "none, by choice", "in the vault"
REVOKING = "revoke"  # the step of a qube whose key is revoked and that is not yet as before
PROOF_IN_CLIENT = "in the client, with an empty borg base directory"
PROOF_IN_WORKER = "in a worker, with the vault's record alone"
_LIMIT = 4096
_LINE = re.compile(r"\{[\x20-\x7e]*\}")
_TIME = re.compile(r"0|[1-9][0-9]{0,14}")
_WORD = re.compile(r"[a-z][a-z-]{0,31}")
_TEXT = re.compile(r"[\x20-\x7e]{0,100}")


@dataclass(frozen=True)
class Record:
    """A qube's identity and how far its enrolment is; equal records are the same JSON.

    step: the last one that was finished. digests: bundle, key, manifest, proof, record, revisions
    as 64 hex digits, and borg's own id of the repository; former: of the record that was copied.
    times: backup, enrolled, proved (0: an older bundle or record only) in seconds since 1970.
    notes: archive, bytes, continues, encryption, escrow, former, keys, next, proved, restore,
    rotation,
    secrets in words.
    """

    uuid: UUID
    repository: names.Repository
    step: str
    fingerprint: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def encryption(self) -> str:
        """Borg's word for where the repository's key is: there, or in a file."""
        return self.notes.get(ENCRYPTION, REPOKEY)

    @property
    def rotation(self) -> tuple[str, str, list[str]]:
        """An unfinished rotation: its name, how the record before began, and what is new."""
        name, before, *fresh = self.notes.get(ROTATION, f"{FIRST} ").split(" ")
        return name, before, fresh

    @property
    def escrowed(self) -> bool:
        """Whether a vault has what opens the repository."""
        return self.notes.get("escrow") == ESCROWED


def render(record: Record) -> str:
    """Answer the feature's value: one line of ASCII."""
    plain = {**vars(record), "uuid": str(record.uuid), "repository": str(record.repository)}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def parse(untrusted_text: str | None) -> Record | None:
    """Answer the record that a feature holds, None if it holds none that we wrote."""
    try:
        untrusted = json.loads(names.parse(_LINE, _LIMIT, untrusted_text))
        if untrusted.keys() != Record.__dataclass_fields__.keys():
            return None
        return Record(
            UUID(untrusted["uuid"]), names.parse_repository(untrusted["repository"]),
            names.parse(_WORD, 32, untrusted["step"]),
            names.parse(_TEXT, 100, untrusted["fingerprint"]),
            _mapping(untrusted["digests"], names.DIGEST), _mapping(untrusted["times"], _TIME),
            _mapping(untrusted["notes"], _TEXT))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _mapping(untrusted: dict[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
    return {names.parse(_WORD, 32, key): names.parse(pattern, 100, value)
            for key, value in untrusted.items()}
