"""The framing of a reply: progress lines, then nonce, outcome and the row's fixed keys.

Read by dom0 and by a service that calls another; written by qborg_service.answer.
Every line is `key=value` in printable ASCII and ends in one newline; the keys stand in the order
of the row. A cut, padded or reordered reply is no reply.
"""

import re
from dataclasses import dataclass

from qborg_wire import names
from qborg_wire.causes import CAUSES
from qborg_wire.row import Field, Service

PROGRESS_LIMIT = 200  # bytes of one progress line, its newline included
PROGRESS_RATE = 10  # lines a second
_OF_A_FAILURE = (Field("detail", r"[\x20-\x7e]{1,120}", 120),)
_PROGRESS = re.compile(rb"progress=([a-z][a-z-]{0,23}) (0|[1-9][0-9]{0,14}) (0|[1-9][0-9]{0,14})\n")


class ReplyRefused(ValueError):
    """Bytes that are not a reply of this service. The message never repeats them."""


@dataclass(frozen=True)
class Progress:
    """How far long work is: stage, files and bytes done so far."""

    stage: str
    files: int
    size: int

    def encode(self) -> bytes:
        """Answer the line."""
        return b"progress=%s %d %d\n" % (self.stage.encode("ascii"), self.files, self.size)


@dataclass(frozen=True)
class Failure:
    """The service's own refusal: a cause that both sides know and a line for a person."""

    cause: str
    detail: str


def printable(text: str, limit: int = 120) -> str:
    """Answer text that is safe in a reply: other characters become `_`, never empty."""
    return re.sub(r"[^\x20-\x7e]", "_", text)[:limit] or "-"


def parse_progress(untrusted_line: bytes) -> Progress:
    """Answer the progress that a line tells; raises ReplyRefused."""
    if len(untrusted_line) > PROGRESS_LIMIT:
        raise ReplyRefused("a progress line is too long")
    match = _PROGRESS.fullmatch(untrusted_line)
    if match is None:
        raise ReplyRefused("a progress line is malformed")
    return Progress(match[1].decode("ascii"), int(match[2]), int(match[3]))


def parse_reply(service: Service, nonce: str, untrusted_reply: bytes) -> dict[str, str] | Failure:
    """Answer the values of a reply without its progress lines, or the failure it reports.

    Raises ReplyRefused unless it is at most the row's limit long, repeats the nonce and holds
    exactly the row's keys, each value matching whole.
    """
    if len(untrusted_reply) > service.limit:
        raise ReplyRefused("too long")
    if re.fullmatch(rb"(?:[a-z_]{1,32}=[\x20-\x7e]*\n)+", untrusted_reply) is None:
        raise ReplyRefused("not lines of key=value in printable ASCII")
    untrusted_pairs = re.findall(r"([a-z_]+)=(.*)\n", untrusted_reply.decode("ascii"))
    if untrusted_pairs[0] != ("nonce", nonce):
        raise ReplyRefused("not an answer to this request")
    if len(untrusted_pairs) < 2 or untrusted_pairs[1][0] != "outcome":
        raise ReplyRefused("no outcome")
    untrusted_outcome, untrusted_rest = untrusted_pairs[1][1], untrusted_pairs[2:]
    if untrusted_outcome not in ("ok", *CAUSES):
        raise ReplyRefused("an unknown outcome")
    fields = service.reply if untrusted_outcome == "ok" else _OF_A_FAILURE
    if [key for key, _value in untrusted_rest] != [field.name for field in fields]:
        raise ReplyRefused("other keys than this outcome has")
    try:
        values = {field.name: names.parse(field.pattern, field.limit, untrusted_value) for
                  field, (_key, untrusted_value) in zip(fields, untrusted_rest, strict=True)}
    except names.NameRefused as error:
        raise ReplyRefused("a value that does not match") from error
    return values if fields is service.reply else Failure(untrusted_outcome, **values)
