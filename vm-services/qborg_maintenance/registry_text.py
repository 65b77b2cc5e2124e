"""The registry as the account's recovery record spells it: short, so that 500 repositories fit.

Runs in the maintenance qube. Pure. What an entry has by default and what follows from its key is
left out, and of a key all that every one of its kind begins with. Records of before have each
entry as registry.json has it, and are read as well.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from qborg_maintenance import keypair

_ED25519, _RSA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "ssh-rsa "
_LENGTH = 43  # characters of an ed25519 key after that
_SHORT = re.compile(r"([0-9]{1,15}) ([A-Za-z0-9+/=]{43,800})((?: [a-z_]{1,20}=[!-~]{1,800}){0,9})")
_PRINT = "SHA256:"


def short(plain: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Answer the text of a registry, given as registry.json holds it."""
    entries = {name: _short(entry, defaults) for name, entry in plain["repositories"].items()}
    revoked = " ".join(each.removeprefix(_PRINT) for each in plain["revoked"])
    return json.dumps({**plain, "repositories": entries, "revoked": revoked}, sort_keys=True,
                      separators=(",", ":")) + "\n"  # fmt: skip


def _short(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    words = [str(entry["created"]), _short_key(entry["public_key"])]
    for name, default in defaults.items():
        if entry[name] != default:
            words.append(f"{name}={_short_key(entry[name])}")
    return " ".join(words)


def _short_key(value: str) -> str:
    return value.removeprefix(_ED25519).removeprefix(_RSA)


def plain(untrusted_text: str) -> dict[str, Any]:
    """Answer what registry.json would hold, its values still untrusted; raises ValueError."""
    untrusted: dict[str, Any] = json.loads(untrusted_text)
    if untrusted:
        if isinstance(untrusted["revoked"], str):
            untrusted["revoked"] = [f"{_PRINT}{each}" for each in untrusted["revoked"].split()]
        untrusted["repositories"] = {name: _plain(entry) if isinstance(entry, str) else entry
                                     for name, entry in untrusted["repositories"].items()}
    return untrusted


def _plain(untrusted_entry: str) -> dict[str, Any]:
    match = _SHORT.fullmatch(untrusted_entry)
    if match is None:
        raise ValueError("no entry of a registry")
    entry: dict[str, Any] = dict(word.split("=", 1) for word in match[3].split())
    if "next_key" in entry:
        entry["next_key"] = _plain_key(entry["next_key"])
    key = _plain_key(match[2])
    return {**entry, "created": int(match[1]), "public_key": key,
            "fingerprint": keypair.fingerprint(key)}  # fmt: skip


def _plain_key(untrusted_key: str) -> str:
    return (_ED25519 if len(untrusted_key) == _LENGTH else _RSA) + untrusted_key
