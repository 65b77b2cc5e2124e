"""What a machine is started with, and what is known of it while it runs.

Runs in the supervisor; data only.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Mapping

from .process import Agent


@dataclass(frozen=True)
class Boot:
    """What a machine is started with, fixed until it stops.

    SERVICES: name -> on, as /run/qubes-service is made from. PERSISTENCE: 'full', 'rw-only' or
    'none'. QUBESDB: path -> value, written to the machine's qubesdb directory before it boots.
    UUID: what Xen shows a qube as its handle.
    TEMPLATE and CLONE_OF (a DispVM's template AppVM) name the machines its volumes come from.
    """

    netvm: str | None = None
    services: Mapping[str, bool] = field(default_factory=dict)
    persistence: str = "rw-only"
    mac: str = ""
    ip: str = ""
    qubesdb: Mapping[str, str] = field(default_factory=dict)
    uuid: str | None = None
    template: str | None = None
    clone_of: str | None = None


@dataclass
class Running:
    """A machine that is up: its agent, how it was started, its cable if any."""

    agent: Agent
    boot: Boot
    cable: str | None = None
    stopping: bool = False
    paused: bool = False
    report: bytes | None = None
    gone: threading.Event = field(default_factory=threading.Event)
