"""Firewall rules of a qube: one line each, as strict as qubesd reads them and as it writes them.

Runs in the supervisor; pure but for the clock. The lab keeps rules and enforces none.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable, Iterator

from lab.api_errors import Refused
from lab.store import enforce

# As qubesd sorts them; a comment may hold spaces and comes last.
_ORDER = ("action", "expire", "dsthost", "proto", "specialtarget", "dstports", "icmptype")
_WORDS = {
    "action": ("accept", "drop"),
    "proto": ("tcp", "udp", "icmp"),
    "specialtarget": ("dns",),
}
_HOSTS = ("dst4", "dst6", "dsthost", "dstname")
_COMMENT = re.compile(r"[A-Za-z0-9:;,./_\[\] -]+")
_LAST_SECOND = 253402300799  # of the year 9999


def normal(untrusted_line: str) -> str:
    """Answer a rule as qubesd gives it back; raise Refused for what is none."""
    untrusted_options, comment, untrusted_comment = untrusted_line.partition("comment=")
    found: dict[str, str] = {}
    for untrusted_option in untrusted_options.strip().split(" "):
        untrusted_key, equals, untrusted_value = untrusted_option.partition("=")
        enforce(bool(equals))
        key = "dsthost" if untrusted_key in _HOSTS else untrusted_key
        enforce(key in _ORDER and key not in found)
        found[key] = _written(key, untrusted_value)
    enforce("action" in found)
    kind = found.get("proto", "").removeprefix("proto=")
    enforce("dstports" not in found or kind in ("tcp", "udp"))
    enforce("icmptype" not in found or kind == "icmp")
    words = [found[key] for key in _ORDER if key in found]
    if untrusted_comment:
        enforce(_COMMENT.fullmatch(untrusted_comment) is not None)
        words.append(f"comment={untrusted_comment}")
    return " ".join(words)


def _written(key: str, untrusted_value: str) -> str:
    if key == "dsthost":
        return _host(untrusted_value)
    if key == "dstports":
        return f"{key}={_ports(untrusted_value)}"
    if key in _WORDS:
        enforce(untrusted_value in _WORDS[key])
    else:
        _number(untrusted_value, 255 if key == "icmptype" else _LAST_SECOND)
    return f"{key}={untrusted_value}"


def _host(untrusted_value: str) -> str:
    untrusted_address, slash, untrusted_length = untrusted_value.partition("/")
    for family, key, bits in ((socket.AF_INET6, "dst6", 128), (socket.AF_INET, "dst4", 32)):
        try:
            socket.inet_pton(family, untrusted_address)
        except (OSError, ValueError):
            continue
        length = _number(untrusted_length, bits) if slash else bits
        return f"{key}={untrusted_address}/{length}"
    enforce(not slash and re.fullmatch(r"[a-z0-9._-]+", untrusted_value) is not None)
    return f"dsthost={untrusted_value}"


def _ports(untrusted_value: str) -> str:
    untrusted_first, dash, untrusted_last = untrusted_value.partition("-")
    first = _number(untrusted_first, 65535)
    last = _number(untrusted_last, 65535) if dash else first
    enforce(first <= last)
    return f"{first}-{last}"


def _number(untrusted_text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", untrusted_text) or int(untrusted_text) > most:
        raise Refused
    return int(untrusted_text)


def in_force(rules: Iterable[str]) -> Iterator[str]:
    """Iterate over the rules less those that have expired, which qubesd drops."""
    for rule in rules:
        expires = re.search(r"^action=\w+ expire=([0-9]+)", rule)
        if expires is None or int(expires[1]) >= time.time():
            yield rule
