"""From borg's log to a cause: what borg 1.4 and its server really wrote, and what a liar may."""

import json

import pytest

from qborg_borg import outcome
from qborg_borg.outcome import MESSAGE_LIMIT, Outcome, Record, parse_record
from qborg_wire.causes import CAUSES

SERVER_FULL = (
    "Traceback (most recent call last):\n\n  File \"/usr/lib/python3/dist-packages/borg/remote.py\""
    ", line 252, in serve\n    res = f(**args)\n\nOSError: [Errno 28] No space left on device\n"
)
SYSTEM = "Borg server: Platform: Linux\nBorg server: CWD: /home/bak\nPlatform: Linux work\n"


def error(message: str, msgid: str = "") -> Record:
    """Answer an error as borg logs it."""
    return Record("log_message", level="ERROR", msgid=msgid, message=message)


NAMED = {
    "passphrase": (52, "PassphraseWrong", "wrong-passphrase"),
    "passphrase-1.2": (2, "PassphraseWrong", "wrong-passphrase"),
    "lock": (73, "LockTimeout", "locked"),
    "archive": (2, "Archive.DoesNotExist", "archive-missing"),
    "repository": (13, "Repository.DoesNotExist", "repository-missing"),
    "forbidden-path": (83, "PathNotAllowed", "repository-missing"),
    "exists": (10, "Repository.AlreadyExists", "repository-exists"),
    "damaged": (12, "Repository.CheckNeeded", "borg-failed"),
    "quota-bare-name": (2, "StorageQuotaExceeded", "quota-exceeded"),
    "connection": (81, "ConnectionClosedWithHint", "connection-failed"),
    "replay": (2, "Cache.RepositoryReplay", "borg-failed"),
}
CODES = {
    "quota": (20, "quota-exceeded"), "lock": (73, "locked"), "unknown": (2, "borg-failed"),
    "damaged": (12, "borg-failed"), "path-taken": (19, "repository-exists"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "msgid", "cause"), NAMED.values(), ids=NAMED)
def test_an_error_that_borg_names_has_its_cause(code: int, msgid: str, cause: str) -> None:
    assert outcome.cause_of_failure(code, [error("words", msgid)]) == cause


@pytest.mark.parametrize(("code", "cause"), CODES.values(), ids=CODES)
def test_without_a_name_the_exit_code_decides(code: int, cause: str) -> None:
    assert outcome.cause_of_failure(code, [error("words")]) == cause


NO_SPACE = "OSError: [Errno 28] No space left on device"


@pytest.mark.parametrize(
    ("records", "cause"),
    [
        ([error(SERVER_FULL, "OSError"), error(SYSTEM)], "server-full"),
        ([error("Local Exception", "Exception"), error(NO_SPACE)], "no-space"),
    ],
    ids=["server", "here"],
)
def test_a_full_disk_is_told_from_a_full_server(records: list[Record], cause: str) -> None:
    assert outcome.cause_of_failure(2, records) == cause


WORDS = {
    "host-key": (255, "Host key verification failed.", "host-key-changed"),
    "unknown-key": (255, "No ED25519 host key is known for bakserver", "host-key-changed"),
    "login": (255, "bak@host: Permission denied (publickey).", "login-refused"),
    "refused": (255, "ssh: connect to host h port 22: Connection refused", "server-unreachable"),
    "no-name": (255, "ssh: Could not resolve hostname h: Name", "server-unreachable"),
    "no-borg": (127, "sh: 1: borg14: not found", "borg-missing"),
    "fine-now": (0, "", "connection-failed"),
    "words-of-the-server": (1, "Permission denied (publickey).", "connection-failed"),
}


@pytest.mark.parametrize(("code", "words", "cause"), WORDS.values(), ids=WORDS)
def test_ssh_tells_why_a_connection_failed(code: int, words: str, cause: str) -> None:
    assert outcome.cause_of_connection(code, words) == cause


def test_every_cause_is_one_that_both_sides_know() -> None:
    answered = {cause for _code, _name, cause in NAMED.values()} | {c for *_, c in WORDS.values()}

    assert answered <= CAUSES


@pytest.mark.parametrize(
    ("code", "done"), [(0, True), (1, True), (107, True), (2, False), (-15, False), (128, False)]
)
def test_warnings_are_a_success(code: int, done: bool) -> None:
    assert outcome.succeeded(code) is done


def test_progress_tells_files_and_bytes() -> None:
    line = {"type": "archive_progress", "nfiles": 7, "original_size": 900, "path": "home/user/x"}

    record = parse_record(json.dumps(line).encode())

    assert (record.files, record.size, record.trouble) == (7, 900, False)


HOSTILE = {
    "not-json": b"{broken",
    "not-an-object": b"[1]",
    "no-type": b'{"message": "x"}',
    "not-utf-8": b"\xff\xfe",
    "deep": b'{"a":' + b"[" * 100_000,
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_a_line_that_is_no_record_is_a_bounded_text(line: bytes) -> None:
    record = parse_record(line)

    assert record.kind == "text"
    assert len(record.message) <= MESSAGE_LIMIT


@pytest.mark.parametrize("number", [-1, 10**15, 1.5, "7", True, None])
def test_a_strange_number_counts_as_none(number: object) -> None:
    line = {"type": "archive_progress", "nfiles": number, "original_size": number}

    record = parse_record(json.dumps(line).encode())

    assert (record.files, record.size) == (0, 0)


DETAILS = {
    "error-before-noise": (
        [error("The quota is exceeded", "StorageQuotaExceeded"), Record("text", message="x")],
        "The quota is exceeded",
    ),
    "end-of-a-traceback": (
        [error(SERVER_FULL, "OSError"), error(SYSTEM)], NO_SPACE,
    ),
    "borgmatic-in-words": (
        [Record("text", message="main: TypeError: nothing"),
         Record("text", message="/c.yaml: No valid configuration files found"),
         Record("text", message="Need some help? https://example.org")],
        "/c.yaml: No valid configuration files found",
    ),
    "nothing": ([], ""),
    "empty-words": ([error("", "X")], ""),
}  # fmt: skip


@pytest.mark.parametrize(("records", "detail"), DETAILS.values(), ids=DETAILS)
def test_the_detail_is_the_line_that_says_most(records: list[Record], detail: str) -> None:
    assert Outcome(2, "borg-failed", tuple(records), b"").detail == detail
