"""The firewall: what a qube has to reach for its backups; the maintenance qube reaches no more.

Runs in dom0. Our rules bear a comment, so that they are put anew and never twice. A netvm that
cannot look up a name in a rule drops all that the qube sends (qubesagent/firewall.py of
qubes-core-agent-linux), so a qube that is let through as it is gets none.
"""

import re
from collections.abc import Sequence

from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.settings import Settings
from qvm_borg.telling import refusal

_OURS = "comment=qubes-borg"
_FOR_ALL = re.compile(r"action=(accept|drop)( comment=.*)?")  # a rule that all traffic meets


def rules_of(qube: Qube) -> list[str]:
    """Answer a qube's rules as qubesd tells them, the first one first."""
    return qube.admin("firewall.Get").splitlines()


def let_all_through(rules: Sequence[str]) -> bool:
    """Answer whether the rules let through what none of them speaks of in particular."""
    met = next(filter(None, map(_FOR_ALL.fullmatch, rules)), None)
    return met is not None and met[1] == "accept"


def let_through(session: Session, names: Sequence[str], known: Settings, maintenance: Qube) -> None:
    """Put the server and DNS before a qube's rules, or in the place of the maintenance qube's.

    Raises QubeUnavailable for a name that is none, SettingsError for a qube without network.
    """
    qubes = [session.system.find(name) for name in names]
    for qube in qubes:
        if qube.property("netvm") is None:
            raise refusal("no-firewall", qube=qube)
    ours = ["action=accept specialtarget=dns", f"action=accept dsthost={known.host.lower()} "
            f"proto=tcp dstports={known.port}-{known.port}"]
    for qube in qubes:
        alone, netvm = qube.uuid == maintenance.uuid, session.system.find(qube.property("netvm"))
        rest = [rule for rule in rules_of(qube) if not rule.endswith(_OURS)]
        open_already = not alone and let_all_through(rest[:1])
        rules = [] if open_already else [f"{rule} {_OURS}" for rule in ours]
        rules += [f"action=drop {_OURS}"] if alone else rest
        qube.admin("firewall.Set", "", "".join(f"{rule}\n" for rule in rules))
        session.tell("reaches-alone" if alone else "reaches-all" if open_already else "reaches-too",
                     qube=qube, server=known.server)
        if not netvm.feature("qubes-firewall", inherited=True):
            session.tell("rules-for-nobody", netvm=netvm, qube=qube)
