"""Our packages in templates by Qubes' Salt: only what they offer afterwards counts.

Runs in dom0. qubesctl drops a name that it does not know, and succeeds where nothing was to do, so
dom0 looks for each name before, and afterwards at what its qube has told qubesd. One after the
other: the disposable that manages a qube has a name that is cut, and two long ones could share it.
"""

from collections.abc import Sequence
from subprocess import DEVNULL, Popen

from qborg_wire.services import SERVICES
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import refusal

_QUBESCTL = ("/usr/bin/sudo", "-n", "/usr/bin/qubesctl", "--skip-dom0", "--max-concurrency=1")
_STATE = ("state.sls", "qubes-borg")
_ONE_OF_EACH_ROLE = ("InstallBundle", "CheckSetup", "StoreRecord", "AcceptRecord")


def install(session: Session, names: Sequence[str]) -> None:
    """Have every role installed in templates or standalone qubes; raises TemplateError if not.

    What qubesctl prints is shown as it is; it goes on by itself if this command is stopped.
    """
    qubes = [session.system.find(name) for name in names]
    for qube in qubes:
        if qube.property("klass") not in ("TemplateVM", "StandaloneVM"):
            raise refusal("would-forget-packages", qube=qube)
    session.tell("salt-begins", qubes=" ".join(names))
    status = Popen([*_QUBESCTL, f"--targets={','.join(names)}", *_STATE], stdin=DEVNULL).wait()
    for qube in qubes:
        lacking = [name for name in _ONE_OF_EACH_ROLE if not qube.offers(SERVICES[name])]
        if status or lacking:
            raise refusal("salt-did-not-do", qube=qube, status=status,
                          services=" ".join(SERVICES[name].full_name for name in lacking) or "none")
    for qube in qubes:
        session.tell("has-packages", qube=qube, running=" ".join(_behind(session, qube)) or "none")


def _behind(session: Session, template: Qube) -> list[str]:
    """Answer the running qubes that see their template as it was."""
    return [qube.name for qube in session.system.qubes()
            if qube.property("klass") == "AppVM" and qube.property("template") == template.name
            and qube.state() != "Halted"]
