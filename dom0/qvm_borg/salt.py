"""Our packages in templates by Qubes' Salt: only what they offer afterwards counts.

Runs in dom0. qubesctl drops a name that it does not know, and succeeds where nothing was to do, so
dom0 looks for each name before, and afterwards at what its qube has told qubesd. One after the
other: the disposable that manages a qube has a name that is cut, and two long ones could share it.
"""

from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, Popen

from qborg_wire.services import SERVICES
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import refusal

_QUBESCTL = Path("/usr/bin/qubesctl")
_COMMAND = ("/usr/bin/sudo", "-n", str(_QUBESCTL), "--skip-dom0", "--max-concurrency=1")
_ONE_OF_EACH_ROLE = ("InstallBundle", "CheckSetup", "StoreRecord", "AcceptRecord")


def install(session: Session, names: Sequence[str]) -> None:
    """Have every role installed in templates or standalone qubes; raises TemplateError if not.

    What qubesctl prints is shown as it is.
    """
    qubes = [session.system.find(name) for name in names]
    for qube in qubes:
        if qube.property("klass") not in ("TemplateVM", "StandaloneVM"):
            raise refusal("would-forget-packages", qube=qube)
    if not _QUBESCTL.exists():
        raise refusal("no-salt")
    session.tell("salt-begins", qubes=" ".join(names))
    child = Popen([*_COMMAND, f"--targets={','.join(names)}", "state.sls", "qubes-borg"],
                  stdin=DEVNULL)
    try:
        status = child.wait()
    finally:  # a command that is stopped ends after it, not before
        child.wait()
    session.system.look_anew()
    for qube in qubes:
        lacking = [SERVICES[name] for name in _ONE_OF_EACH_ROLE if not qube.offers(SERVICES[name])]
        if lacking:
            raise refusal("salt-did-not-do", qube=qube, status=status,
                          services=" ".join(service.full_name for service in lacking))
    if status:
        raise refusal("salt-failed", qubes=" ".join(names), status=status)
    for qube in qubes:
        session.tell("has-packages", qube=qube, running=" ".join(_behind(session, qube)) or "none")


def _behind(session: Session, template: Qube) -> list[str]:
    """Answer the running qubes that see their template as it was; a disposable's is a qube."""
    qubes, on = session.system.qubes(), {template.name}
    for klass in ("AppVM", "DispVM"):
        on |= {qube.name for qube in qubes if qube.property("klass") == klass
               and qube.property("template") in on}
    return [qube.name for qube in qubes if qube.name in on - {template.name}
            and qube.state() != "Halted"]
