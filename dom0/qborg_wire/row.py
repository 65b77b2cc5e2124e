"""What a row of the services table is made of: a role, a field, a service.

Pure. The table itself is in qborg_wire.services.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Role(Enum):
    """A trust domain. Its value is the folder, the package and the `service.qborg-X` feature."""

    DOM0 = "dom0"
    MAINTENANCE = "maintenance"
    CLIENT = "client"
    VAULT = "vault"
    WORKER = "worker"


@dataclass(frozen=True)
class Field:
    """One key of a request (JSON) or a reply (key=value) and the full match of its value."""

    name: str
    expression: str
    limit: int
    many: bool = False  # a JSON list of such values; in requests only

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when it is asked for: a program needs few of them, and starts without."""
        return re.compile(self.expression)


@dataclass(frozen=True)
class Service:
    """One row. `limit` in bytes bounds the request and, progress lines aside, the reply."""

    name: str
    callers: tuple[Role, ...]
    callees: tuple[Role, ...]
    limit: int
    seconds: int
    argument: bool = True  # the repository; else none
    idle: bool = False  # seconds count from the last progress line
    root: bool = False
    before_role: bool = False  # answers also where dom0 has not switched the role on (ADR 1)
    record: bool = False  # the request is one bundle or record, not a JSON request with a nonce
    stream: bool = False  # another program's bytes both ways: no request, no reply
    request: tuple[Field, ...] = ()
    reply: tuple[Field, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as qrexec and the policy spell it."""
        return f"qborg.{self.name}"
