"""The services table: who may call what where, with which request, reply, size and time.

The table is data and lies beside this reader: services.toml. The policy, the rpc files,
docs/protocol.md and the tests are checked against it. A row that no role serves yet is reserved.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qborg_wire import names
from qborg_wire.key_line import QUOTA
from qborg_wire.row import Field, Role, Service, either, oneof

_REPOSITORY = re.compile(f"{names.MACHINE.pattern}-{names.QUBE.pattern}")
_KEY = rf"{_REPOSITORY.pattern}:(?:missing|{names.DIGEST.pattern})"
# What a field's pattern may be called in the table, beside the patterns of names.py.
_PATTERNS = {
    "NUMBER": re.compile(r"0|[1-9][0-9]{0,14}"),
    "WORD": re.compile(r"[a-z][a-z-]{0,31}"),
    "VERSION": re.compile(r"none|[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}[0-9a-z.+-]{0,20}"),
    "QUOTA": QUOTA,
    "REPOSITORY": _REPOSITORY,
    "LIST": re.compile(f"none|{_REPOSITORY.pattern}(?: {_REPOSITORY.pattern})*"),
    "KEYS": re.compile(f"none|{_KEY}(?: {_KEY})*"),
    "KIT": re.compile(r"qubes-borg-kit/kit-[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    # Of the surrogates only those that stand for bytes which are not UTF-8: others name no file.
    "PATH": re.compile(r"[^\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]+"),
    "DIRECTORY": re.compile(r"/[^\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]*"),
    "OLD_KEYS": re.compile(r"none|/[\x20-\x7e]*"),
}
# Fields that several rows have, by the one word that stands for them.
_GROUPS: dict[str, list[str]] = {
    "SERVER": [
        "host: HOST 253", "port: PORT 5", "account: ACCOUNT 32",
        "host_key: unknown|FINGERPRINT 50", "remote_borg: probe|REMOTE_BORG 32",
    ],
    # What dom0 is set up with: this computer and its one account.
    "SETTINGS": ["machine: MACHINE 16", "machine_id: NONCE 32", "SERVER"],
}


def _fields(lines: list[str]) -> Iterator[Field]:
    for line in lines:
        if line in _GROUPS:
            yield from _fields(_GROUPS[line])
            continue
        name, _colon, told = line.partition(": ")
        kind, *size = told.split(" ")
        *words, last = kind.split("|")
        if not size:
            yield oneof(name, *words, last)
            continue
        pattern: re.Pattern[str] = _PATTERNS.get(last) or getattr(names, last)
        if words:
            pattern = either("|".join(map(re.escape, words)), pattern)
        yield Field(name, pattern, int(size[0]), size[1:] == ["many"])


def _row(name: str, told: dict[str, Any]) -> Service:
    callers, callees = (tuple(map(Role, side.split(" ")))
                        for side in told.pop("calls").split(" -> "))
    served_by = told.pop("served_by", None)
    return Service(
        name, callers, callees, request=tuple(_fields(told.pop("request", []))),
        reply=tuple(_fields(told.pop("reply", []))),
        served_by=callees if served_by is None else tuple(map(Role, served_by.split())), **told)


_TABLE = Path(__file__).with_suffix(".toml").read_text(encoding="ascii")
SERVICES = {name: _row(name, told) for name, told in tomllib.loads(_TABLE).items()}
