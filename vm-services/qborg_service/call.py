"""What a handler is given: one call, checked.

Runs in every qube with a service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qborg_wire.names import Repository
from qborg_wire.reply import Progress
from qborg_wire.request import Value
from qborg_wire.row import Service


@dataclass(frozen=True)
class Call:
    """One call of a service.

    `values` are the row's request fields; `record` the raw bytes of a row that takes a record
    (still untrusted; it may hold secrets), else None; `repository` None for rows without
    argument. `progress` tells the caller how far the work is, ten times a second at most; rows
    with an idle limit only.
    """

    service: Service
    repository: Repository | None
    values: Mapping[str, Value]
    record: bytes | None = field(repr=False)
    caller: str
    progress: Callable[[Progress], None]

    def text(self, name: str) -> str:
        """Answer the value of a field that is one text."""
        value = self.values[name]
        if not isinstance(value, str):
            raise TypeError(f"{name} is a list")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Answer the value of a field that is a list."""
        value = self.values[name]
        if isinstance(value, str):
            raise TypeError(f"{name} is one text")
        return value

    def named(self) -> Repository:
        """Answer the repository of a row that has one."""
        if self.repository is None:
            raise TypeError(f"{self.service.name} has no argument")
        return self.repository
