"""The files in rpc-config that say how a service is to be run.

Runs in the supervisor; reads text that a qube wrote, so whatever is wrong in it is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"([a-zA-Z][a-zA-Z0-9._-]*)[ \t]*=[ \t]*(.*)")
_VALUE = re.compile(r"(?P<word>true|false)|(?P<number>0|[1-9][0-9]*)|'(?P<text>[^']*)'")
_TYPES = {
    "wait-for-session": ("word", "number"),
    "force-user": ("text",),
    "skip-service-descriptor": ("word",),
    "exit-on-client-eof": ("word",),
    "exit-on-service-eof": ("word",),
}


class ConfigError(Exception):
    """The file cannot be followed; the call ends with 125."""


@dataclass(frozen=True)
class RpcConfig:
    """What a file asks for. `force_user` is empty when it does not name a user."""

    force_user: str = ""


def parse(untrusted_text: str) -> RpcConfig:
    """Parse a file; raise ConfigError, also for what the lab cannot do.

    A key that nobody knows is skipped, as the genuine parser does.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(untrusted_text.split("\n"), start=1):
        text = line.rstrip()
        if text and not text.startswith("#"):
            key, value = _parse_line(text, number)
            if key in found:
                raise ConfigError(f"line {number}: {key} is there already")
            found |= {key: value} if key in _TYPES else {}
    if found.get("wait-for-session", "0") not in ("false", "0"):
        raise ConfigError("wait-for-session: there are no sessions in the lab")
    sockets = ("skip-service-descriptor", "exit-on-client-eof", "exit-on-service-eof")
    if "force-user" in found and any(found.get(key) == "true" for key in sockets):
        raise ConfigError("force-user does not go together with the keys for sockets")
    return RpcConfig(force_user=found.get("force-user", ""))


def _parse_line(text: str, number: int) -> tuple[str, str]:
    line = _LINE.fullmatch(text)
    if line is None:
        raise ConfigError(f"line {number}: not `key = value` from the first column")
    key, rest = line.groups()
    value = _VALUE.match(rest)
    if value is None or not re.fullmatch(r"[ \t]*(#.*)?", rest[value.end() :]):
        raise ConfigError(f"line {number}: not a number, true, false or 'text'")
    kind = str(value.lastgroup)
    if key in _TYPES and kind not in _TYPES[key]:
        raise ConfigError(f"line {number}: wrong kind of value for {key}")
    if key == "wait-for-session" and kind == "number" and value[kind] not in ("0", "1"):
        raise ConfigError(f"line {number}: {key} is 0 or 1")
    return key, value[kind]
