"""What the lab's qubesd knows: qubes and global settings, kept in one JSON file.

Runs in the supervisor. It holds values and the rules about names; what a property means is in
`properties`, and what a call may do is in the `api_*` modules.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.api_errors import ApiError, Refused

Value = str | int | bool | None

LABELS: Mapping[str, tuple[int, str]] = {
    "red": (1, "0xcc0000"),
    "orange": (2, "0xf57900"),
    "yellow": (3, "0xedd400"),
    "green": (4, "0x73d216"),
    "gray": (5, "0x555555"),
    "blue": (6, "0x3465a4"),
    "purple": (7, "0x75507b"),
    "black": (8, "0x000000"),
}
CLASSES = ("AdminVM", "AppVM", "DispVM", "StandaloneVM", "TemplateVM")
DOM0_UUID = "00000000-0000-0000-0000-000000000000"
NAME_LENGTH = 31
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Qube:
    """One qube. `properties` holds only what was set; the rest have their defaults.

    `state` is a power state as `admin.vm.CurrentState` names it; it is not kept in the file.
    """

    name: str
    klass: str
    uuid: str
    qid: int
    properties: dict[str, Value] = field(default_factory=dict)
    features: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    notes: str = ""
    firewall: list[str] = field(default_factory=lambda: ["action=accept"])
    keep: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    state: str = "Halted"
    xid: int = -1
    started: float | None = None

    @property
    def template(self) -> str | None:
        """Name of the template, of a disposable's AppVM, or None."""
        value = self.properties.get("template")
        return value if isinstance(value, str) else None

    def is_running(self) -> bool:
        """Tell what qubesd calls running: everything but off, so paused and halting too."""
        return self.state != "Halted"

    def is_halted(self) -> bool:
        """Tell whether the qube is off."""
        return self.state == "Halted"


def check_name(untrusted_name: str) -> str:
    """Return a valid qube name; raise QubesValueError."""
    if len(untrusted_name) > NAME_LENGTH:
        raise ApiError("QubesValueError", f"a qube's name has {NAME_LENGTH} characters at most")
    if re.match(r"[0-9_.-]", untrusted_name):
        raise ApiError(
            "QubesValueError", "a qube's name begins with a letter"
        )
    if not _NAME.fullmatch(untrusted_name):
        raise ApiError("QubesValueError", "a qube's name has letters, digits and _.- only")
    if untrusted_name in ("Domain-0", "none", "default") or untrusted_name.endswith("-dm"):
        raise ApiError("QubesValueError", f"no qube can be called {untrusted_name!r}")
    return untrusted_name


class Store:
    """All qubes and global properties. `lock` guards them; `changed` tells of power states."""

    def __init__(self, path: Path) -> None:
        """Read the file if there is one, else begin with dom0 alone."""
        self.path = path
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.qubes: dict[str, Qube] = {}
        self.settings: dict[str, Value] = {}
        self._last_xid = 0
        if path.exists():
            self.loads(path.read_bytes())
        else:
            self.qubes["dom0"] = _dom0()

    def __iter__(self) -> Iterator[Qube]:
        """Iterate over the qubes as qubesd sorts them: dom0 first, then by name."""
        with self.lock:
            found = list(self.qubes.values())
        return iter(sorted(found, key=lambda qube: (qube.name != "dom0", qube.name)))

    def get(self, name: str) -> Qube:
        """Return the qube of that name; raise QubesVMNotFoundError."""
        with self.lock:
            if name in self.qubes:
                return self.qubes[name]
        raise ApiError("QubesVMNotFoundError", f"there is no qube {name!r}")

    def find(self, untrusted_name: str) -> Qube:
        """Return the qube that a request names, by name or by `uuid:`."""
        if untrusted_name.startswith("uuid:"):
            text = untrusted_name[len("uuid:") :]
            if not _UUID.fullmatch(text):
                raise ApiError("QubesVMInvalidUUIDError", f"{text!r} is not a uuid")
            for qube in self:
                if qube.uuid == text:
                    return qube
            raise ApiError("QubesVMNotFoundError", f"there is no qube {untrusted_name!r}")
        return self.get(check_name(untrusted_name))

    def add(self, name: str, klass: str, properties: Mapping[str, Value]) -> Qube:
        """Make a qube with a new uuid and the lowest free number; the name must be free."""
        with self.lock:
            if name in self.qubes:
                raise ApiError("QubesValueError", f"there is a qube {name} already")
            taken = {qube.qid for qube in self.qubes.values()}
            qid = next(number for number in range(1, 10000) if number not in taken)
            qube = Qube(name, klass, str(uuid.uuid4()), qid, dict(properties))
            self.qubes[name] = qube
            return qube

    def set_state(self, qube: Qube, state: str) -> None:
        """Move a qube to another power state and wake whoever waits for that."""
        with self.changed:
            if qube.state == "Halted" and state != "Halted":
                self._last_xid += 1
                qube.xid = self._last_xid
            if state == "Halted":
                qube.xid, qube.started = -1, None
            qube.state = state
            self.changed.notify_all()

    def save(self) -> None:
        """Write the file beside and rename it; power states are not part of it."""
        with self.lock:
            data = self.dumps()
            temporary = self.path.with_suffix(".new")
            temporary.write_bytes(data)
            os.replace(temporary, self.path)

    def dumps(self) -> bytes:
        """Return all that `loads` needs, without power states."""
        with self.lock:
            qubes = []
            for qube in self.qubes.values():
                record = asdict(qube)
                for volatile in ("state", "xid", "started"):
                    del record[volatile]
                qubes.append(record | {"tags": sorted(qube.tags)})
            return json.dumps({"qubes": qubes, "settings": self.settings}, indent=1).encode()

    def loads(self, data: bytes) -> None:
        """Replace everything by what `dumps` gave; every qube but dom0 is halted then."""
        record = json.loads(data)
        with self.changed:
            self.settings = dict(record["settings"])
            self.qubes = {}
            for item in record["qubes"]:
                qube = Qube(**(item | {"tags": set(item["tags"])}))
                self.qubes[qube.name] = qube
            self.qubes["dom0"].state, self.qubes["dom0"].xid = "Running", 0
            self.changed.notify_all()


def _dom0() -> Qube:
    return Qube("dom0", "AdminVM", DOM0_UUID, 0, {"label": "black"}, state="Running", xid=0)


def enforce(condition: bool) -> None:
    """Refuse the call without an answer unless the condition holds."""
    if not condition:
        raise Refused
