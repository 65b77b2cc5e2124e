"""What a run of borg or borgmatic meant: log records in, one of the shared causes out.

Runs in the maintenance qube, in clients and in workers; pure. It must not trust what it reads:
records come partly from the server, so they are bounded and only compared, never repeated as
structure.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

MESSAGE_LIMIT = 4000  # characters; a traceback of the server's fits, a flood does not
_SIZE_KEYS = {"archive_progress": "original_size"}
_TROUBLE = frozenset({"WARNING", "ERROR", "CRITICAL"})


@dataclass(frozen=True)
class Record:
    """One line of the log: `kind` is borg's type, or `text` for a line that is not JSON."""

    kind: str
    level: str = ""
    name: str = ""
    msgid: str = ""
    message: str = ""
    files: int = 0
    size: int = 0
    status: str = ""  # one letter, of a listed path
    path: str = ""

    @property
    def trouble(self) -> bool:
        """Whether it tells of more than ordinary work."""
        return self.kind == "text" or self.level in _TROUBLE


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `cause` is None for a success, which may hold warnings."""

    code: int
    cause: str | None
    records: tuple[Record, ...]
    stdout: bytes = field(repr=False)  # of a key export it is the key
    warnings: int = 0

    @property
    def detail(self) -> str:
        """The line that says most; it may be empty, and it is not trusted."""
        errors = [r.message for r in self.records if r.level in ("ERROR", "CRITICAL") and r.msgid]
        messages = errors or [r.message for r in self.records]
        told = [match[0] for match in _EXCEPTION.finditer("\n".join(messages))]
        first = [line for m in messages if (line := m.split("\n")[0]) and not _IDLE.match(line)]
        return (told or first or [""])[-1]


_EXCEPTION = re.compile(r"^[\w.]{0,60}(?:Error|Exception): .{1,200}$", re.MULTILINE)
_IDLE = re.compile(r"\s|summary:|Need some help\?|Command '.* returned non-zero")
# Errors raised by `borg serve` that borg knows no local class for come without their class's outer
# name: StorageQuotaExceeded, not Repository.StorageQuotaExceeded.
_MSGIDS = {
    "AlreadyExists": "repository-exists",
    "Archive.DoesNotExist": "archive-missing",
    "ConnectionClosed": "connection-failed",
    "ConnectionClosedWithHint": "connection-failed",
    "ConnectionBrokenWithHint": "connection-failed",
    "DoesNotExist": "repository-missing",
    "InsufficientFreeSpaceError": "server-full",
    "InvalidRepository": "repository-missing",
    "KeyfileMismatchError": "keys-missing",
    "KeyfileNotFoundError": "keys-missing",
    "LockError": "locked",
    "LockErrorT": "locked",
    "LockFailed": "locked",
    "LockTimeout": "locked",
    "NoPassphraseFailure": "wrong-passphrase",
    "NotLocked": "locked",
    "NotMyLock": "locked",
    "PasscommandFailure": "wrong-passphrase",
    "PassphraseWrong": "wrong-passphrase",
    "PathNotAllowed": "repository-missing",
    "RepoKeyNotFoundError": "keys-missing",
    "Repository.AlreadyExists": "repository-exists",
    "Repository.DoesNotExist": "repository-missing",
    "Repository.InsufficientFreeSpaceError": "server-full",
    "Repository.InvalidRepository": "repository-missing",
    "Repository.PathAlreadyExists": "repository-exists",
    "Repository.StorageQuotaExceeded": "quota-exceeded",
    "StorageQuotaExceeded": "quota-exceeded",
}
# borg 1.4 with BORG_EXIT_CODES=modern; 1.2 knows only 2 and is told apart by its msgid.
_CODES = {
    10: "repository-exists",
    13: "repository-missing",
    15: "repository-missing",
    19: "repository-exists",
    20: "quota-exceeded",
    31: "archive-missing",
    42: "keys-missing",
    50: "wrong-passphrase",
    51: "wrong-passphrase",
    52: "wrong-passphrase",
    70: "locked",
    71: "locked",
    72: "locked",
    73: "locked",
    74: "locked",
    75: "locked",
    80: "connection-failed",
    81: "connection-failed",
    83: "repository-missing",
    87: "connection-failed",
}
_SSH_FAILED, _SHELL_NOT_FOUND = 255, 127
_SSH_WORDS = (
    (re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED"), "host-key-changed"),
    (re.compile(r"Host key verification failed|No \S+ host key is known"), "host-key-changed"),
    (re.compile(r"Permission denied \("), "login-refused"),
    (re.compile(r"Too many authentication failures"), "login-refused"),
    (re.compile(r"ssh: connect to host|ssh: Could not resolve|Connection timed out"),
     "server-unreachable"),
)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
_SERVER = re.compile(r"^Borg server:", re.MULTILINE)


def parse_record(untrusted_line: bytes) -> Record:
    """Answer what one line of stderr tells; a line that is not a JSON object becomes a text."""
    text = untrusted_line.decode("utf-8", "replace").rstrip()
    try:
        untrusted_object = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        untrusted_object = None
    if not isinstance(untrusted_object, dict) or "type" not in untrusted_object:
        return Record("text", message=text[:MESSAGE_LIMIT])
    kind = _text(untrusted_object, "type")
    return Record(
        kind,
        level=_text(untrusted_object, "levelname"),
        name=_text(untrusted_object, "name"),
        msgid=_text(untrusted_object, "msgid"),
        message=_text(untrusted_object, "message"),
        files=_number(untrusted_object, "nfiles"),
        size=_number(untrusted_object, _SIZE_KEYS.get(kind, "current")),
        status=_text(untrusted_object, "status"),
        path=_text(untrusted_object, "path"),
    )


def _text(untrusted_object: dict[str, object], key: str) -> str:
    untrusted_value = untrusted_object.get(key)
    # Of a long traceback the end tells what happened.
    return untrusted_value[-MESSAGE_LIMIT:] if isinstance(untrusted_value, str) else ""


def _number(untrusted_object: dict[str, object], key: str) -> int:
    untrusted_value = untrusted_object.get(key)
    if type(untrusted_value) is not int or not 0 <= untrusted_value < 10**15:
        return 0
    return untrusted_value


def succeeded(code: int) -> bool:
    """Tell whether borg's exit code means done; 1 and 100 to 127 are done with warnings."""
    return code in (0, 1) or 100 <= code <= 127


def cause_of_failure(code: int, records: Iterable[Record]) -> str:
    """Answer why a failed run failed: borg's own names first, then its code, then its words."""
    kept = tuple(records)
    named = [_MSGIDS[record.msgid] for record in kept if record.msgid in _MSGIDS]
    cause = named[-1] if named else _CODES.get(code)
    if cause is None and _mentions(_NO_SPACE, kept):
        return "server-full" if _mentions(_SERVER, kept) else "no-space"
    return cause or "borg-failed"


def cause_of_connection(code: int, untrusted_stderr: str) -> str:
    """Answer why ssh's own try to start borg on the server failed; borg says the same for all."""
    if code == _SHELL_NOT_FOUND:
        return "borg-missing"
    if code == _SSH_FAILED:
        for pattern, cause in _SSH_WORDS:
            if pattern.search(untrusted_stderr):
                return cause
    return "connection-failed"


def _mentions(pattern: re.Pattern[str], records: tuple[Record, ...]) -> bool:
    return any(pattern.search(record.message) for record in records)
