"""What a service answers: the bytes that qborg_wire.reply parses.

Runs in every qube with a service; pure. dom0 writes no replies and has none of this.
"""

from collections.abc import Mapping

from qborg_wire.reply import Failure, parse_reply, printable
from qborg_wire.row import Service

NO_NONCE = "0" * 32  # answered to a request whose nonce could not be read


def format_reply(service: Service, nonce: str, values: Mapping[str, str]) -> bytes:
    """Answer the bytes of a success; raises ValueError if they would not parse again."""
    lines = [("nonce", nonce), ("outcome", "ok")]
    lines += [(field.name, values[field.name]) for field in service.reply]
    reply = _format(lines)
    if len(values) != len(service.reply) or parse_reply(service, nonce, reply) != dict(values):
        raise ValueError(f"{service.name}: the handler answered values outside its row")
    return reply


def format_failure(nonce: str, failure: Failure) -> bytes:
    """Answer the bytes of a failure; at most 230, which fits every row's limit."""
    detail = printable(failure.detail)
    return _format([("nonce", nonce), ("outcome", failure.cause), ("detail", detail)])


def _format(lines: list[tuple[str, str]]) -> bytes:
    return "".join(f"{key}={value}\n" for key, value in lines).encode("ascii")
