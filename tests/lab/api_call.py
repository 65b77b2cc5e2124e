"""One call of the Admin API as a handler sees it, and what its row in a method table says.

Runs in the supervisor, under `qubesd` and the `api_*` modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from lab.api_errors import Refused
from lab.power import Power, Storage
from lab.store import Qube, Store


class Volumes(Storage, Protocol):
    """The part of `Machines` that calls need beside power states."""

    def create(self, name: str, klass: str, template: str | None) -> None:
        """Make the storage of a new machine."""

    def copy_volume(self, source: str, target: str, volume: str) -> None:
        """Replace a volume by a copy of another machine's."""

    def revisions(self, name: str, volume: str) -> list[str]:
        """Return the ids of the kept revisions, oldest first."""

    def set_revisions_to_keep(self, name: str, volume: str, count: int) -> None:
        """Keep this many revisions from now on."""


@dataclass
class System:
    """What all calls work on. `tokens` are the volumes offered by CloneFrom, each good once."""

    store: Store
    power: Power
    machines: Volumes
    feature_changed: Callable[[Qube, str, str | None], None]
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call; everything `untrusted_` is as the client sent it."""

    system: System
    source: Qube
    target: Qube
    untrusted_argument: str
    untrusted_payload: bytes

    @property
    def store(self) -> Store:
        """The store, which most handlers want."""
        return self.system.store


Handler = Callable[[Call], str]


@dataclass(frozen=True)
class Method:
    """One row: the handler, and what the call must look like or it is refused."""

    run: Handler
    argument: bool = False
    payload: bool = False
    on_dom0: bool = False

    def __call__(self, call: Call) -> str:
        """Run the handler; raise Refused for a call of another shape."""
        if call.untrusted_payload and not self.payload:
            raise Refused
        if call.untrusted_argument and not self.argument:
            raise Refused
        if self.on_dom0 and call.target.name != "dom0":
            raise Refused
        return self.run(call)


def lines(words: Iterable[object]) -> str:
    """Write an iterable of names one per line, as list calls answer."""
    return "".join(f"{word}\n" for word in words)


def parse_size(untrusted_text: bytes, negative: bool = False) -> int:
    """Parse a decimal number as strictly as qubesd does; raise Refused."""
    pattern = rb"-?(0|[1-9][0-9]{0,18})" if negative else rb"0|[1-9][0-9]{0,18}"
    if not re.fullmatch(pattern, untrusted_text):
        raise Refused
    return int(untrusted_text)
