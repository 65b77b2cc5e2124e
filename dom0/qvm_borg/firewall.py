"""The firewall: what a qube has to reach for its backups; the maintenance qube reaches no more.

Runs in dom0. Our rules bear a comment, so that they are put anew and never twice.
"""

from collections.abc import Sequence

from qvm_borg.qubes import Qube
from qvm_borg.session import Session

_OURS = "comment=qubes-borg"


def is_ours(qube: Qube) -> bool:
    """Answer whether a rule of ours is among the qube's."""
    return _OURS in qube.admin("firewall.Get")


def let_through(session: Session, names: Sequence[str]) -> None:
    """Put the server and DNS before a qube's rules, or in the place of the maintenance qube's."""
    known, maintenance = session.site()
    ours = ("action=accept specialtarget=dns", f"action=accept dsthost={known.host} proto=tcp "
            f"dstports={known.port}-{known.port}")
    for qube in [session.system.find(name) for name in names]:
        alone = qube.uuid == maintenance.uuid
        before = qube.admin("firewall.Get")
        rest = [rule for rule in before.splitlines() if not rule.endswith(_OURS)]
        rules = [f"{rule} {_OURS}" for rule in (*ours, *["action=drop"] * alone)]
        qube.admin("firewall.Set", "", "".join(f"{rule}\n" for rule in rules + rest * (not alone)))
        session.tell("reaches-alone" if alone else "reaches-too", qube=qube, server=known.server)
