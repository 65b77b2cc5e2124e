"""The services table: who may call what where, with which request, reply, size and time.

The table is data and lies beside this reader: services.toml, its patterns in fields.toml. The
policy, the rpc files, docs/protocol.md and the tests are checked against it.
"""

import re
from collections.abc import Iterator, Sequence
from string import Template
from typing import Any

from qborg_wire import data, names
from qborg_wire.row import Field, Role, Service

_FIELDS = data.beside(__file__, "fields")


def _patterns() -> dict[str, str]:
    """Answer what a field's pattern may be called: those of names.py, and what is made of them."""
    found = {name: value.pattern for name, value in vars(names).items()
             if isinstance(value, re.Pattern)}
    for name, text in _FIELDS["patterns"].items():
        parts = {part: f"(?:{pattern})" for part, pattern in found.items()}
        found[name] = Template(text).substitute(parts)
    return found


def _fields(lines: Sequence[str]) -> Iterator[Field]:
    for line in lines:
        if line in _FIELDS["groups"]:
            yield from _fields(_FIELDS["groups"][line])
            continue
        name, told = line.split(": ")
        kind, *size = told.split(" ")
        words = kind.split("|")
        pattern = "|".join(_PATTERNS[word] if word.isupper() else re.escape(word) for word in words)
        limit = int(size[0]) if size else max(map(len, words))
        yield Field(name, pattern, limit, size[1:] == ["many"])


def _row(name: str, calls: str, request: Sequence[str] = (), reply: Sequence[str] = (),
         **told: Any) -> Service:
    callers, callees = (tuple(map(Role, side.split(" "))) for side in calls.split(" -> "))
    return Service(name, callers, callees, request=tuple(_fields(request)),
                   reply=tuple(_fields(reply)), **told)


def accepting(role: Role) -> Service:
    """Answer by which service that role takes a record from the vault."""
    return next(row for row in SERVICES.values()
                if (row.callers, row.callees, row.record) == ((Role.VAULT,), (role,), True))


_PATTERNS = _patterns()
SERVICES = {name: _row(name, **told) for name, told in data.beside(__file__).items()}
