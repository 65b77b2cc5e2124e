"""What the qubes that run say: each of its own backups, the maintenance qube of the server.

Runs in dom0. Each value has matched; what an account does not show is the word unknown. Nothing is
started, and nobody is believed alone.
"""

from collections.abc import Sequence
from typing import Any

from qborg_wire.row import Role
from qvm_borg import settings
from qvm_borg.errors import QvmBorgError
from qvm_borg.flow import Flow, together
from qvm_borg.qubes import Qube
from qvm_borg.record import Record
from qvm_borg.session import Session
from qvm_borg.telling import refusal

_PARTS = ("origin", "fingerprint", "key", "transaction", "time", "size", "grown", "found")


def asking(session: Session, maintenance: Qube, wanted: Sequence[str],
           look: str = "all") -> Flow[dict[str, dict[str, str]]]:
    """Ask the running maintenance qube of repositories; answers the evidence by their names.

    look: at the `keys` alone; `accept` what is there now. Raises WireError for other repositories.
    """
    reply = yield from session.calling(
        maintenance, "ObserveServer", {"repositories": wanted, "look": look})
    told = [word.split(",") for word in reply["evidence"].split(" ")] if wanted else []
    if [name for name, *_parts in told] != wanted:
        raise refusal("other-repositories", maintenance=maintenance)
    return {name: dict(zip(_PARTS, parts, strict=True)) for name, *parts in told}


def _tried(flow: Flow[Any]) -> Flow[Any]:
    try:
        return (yield from flow)
    except QvmBorgError as error:
        return error


def look(session: Session, found: Sequence[tuple[Qube, Record]]) -> tuple[dict[str, Any], Any]:
    """Answer what each running qube claims, by its name, and the evidence, by the repository's.

    In the place of either an error; the evidence is None where nobody could be asked.
    """
    site, maintenance = settings.load(), session.system.role(Role.MAINTENANCE, lost=True)
    own = [each for each in found if each[0].uuid == each[1].uuid]
    running = [qube for qube, _known in own if site and qube.state() == "Running"]
    asks = [_tried(session.calling(qube, "DescribeClient", {"host": site.host, "port": site.port}))
            for qube in running if site]
    if own and maintenance and maintenance.state() == "Running":
        wanted = [str(known.repository) for _qube, known in own]
        asks.append(_tried(asking(session, maintenance, wanted)))
    answers = together(*asks)
    shown = answers.pop() if len(answers) > len(running) else None
    return dict(zip(map(str, running), answers, strict=True)), shown
