"""A small Qubes system with one qube of every kind that a call may come from or go to."""

from dataclasses import dataclass
from uuid import UUID

from qborg_wire.names import Repository


@dataclass(frozen=True)
class Kind:
    """One qube: what it stands for, its name, class, uuid and tags."""

    what: str
    name: str
    klass: str
    uuid: UUID
    tags: tuple[str, ...] = ()


def _uuid(number: int) -> UUID:
    return UUID(f"5c1e7a52-0f5e-4d3b-9a55-{number:012d}")


# A disposable and a clone inherit the tags of what they come from.
_CLIENT = ("qubes-borg-client",)
KINDS = (
    Kind("dom0", "dom0", "AdminVM", UUID(int=0)),
    Kind("maintenance", "sys-borg", "AppVM", _uuid(1)),
    Kind("vault", "vault", "AppVM", _uuid(2)),
    Kind("client", "work", "AppVM", _uuid(3), _CLIENT),
    Kind("client being enrolled", "personal", "AppVM", _uuid(4), _CLIENT),
    Kind("plain qube", "untrusted", "AppVM", _uuid(5)),
    Kind("disposable of a client", "disp1", "DispVM", _uuid(6), _CLIENT),
    Kind("clone of a client", "work-copy", "AppVM", _uuid(7), _CLIENT),
    Kind("template", "debian-13", "TemplateVM", _uuid(8)),
    Kind("worker", "disp2", "DispVM", _uuid(9)),
    Kind("disposable template", "default-dvm", "AppVM", _uuid(10)),
)
BY_WHAT = {kind.what: kind for kind in KINDS}
OWN = Repository("m", "personal")
OTHER = Repository("m", "work")
# What a caller may write after the service's name; the last ones try to look like the second.
ARGUMENTS = ("+", f"+{OWN}", f"+{OTHER}", f"+{OWN}+", f"+{OWN}x", f"+x{OWN}")
# What a caller may name as target: a qube, none, one that does not exist, a new disposable.
TARGETS = (*(kind.name for kind in KINDS), "@default", "nobody", "@dispvm", "@dispvm:default-dvm")
