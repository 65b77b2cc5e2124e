"""The key in each repository against the escrowed one, and that one put back.

Runs in dom0, which knows digests of keys. A client may change its repository's key; with the old
passphrase nobody then opens it but by the key that was exported at the enrolment.
"""

from collections.abc import Sequence

from qvm_borg import record, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.errors import ProofFailed, WireError
from qvm_borg.qubes import running
from qvm_borg.session import Session


def compare(session: Session, wanted: Sequence[str]) -> None:
    """Compare each qube's key at the server with the one exported; no vault, no client is asked.

    Raises the one qube's error, or PartialFailure after all.
    """
    _settings, maintenance = session.site()
    names = list(dict.fromkeys(wanted))
    crowd = Crowd(session.report, len(names), "found as they were")
    enrolled = crowd.each(names, lambda name: session.enrolled(name)[1])
    repositories = [str(each.repository) for each in enrolled]
    with running(maintenance, session.report.say):
        reply = session.call(maintenance, "ObserveServer", {"repositories": repositories})
    pairs = [pair.split(":") for pair in reply["keys"].split(" ")] if enrolled else []
    if [pair[0] for pair in pairs] != repositories:
        raise WireError(f"{maintenance}: it tells of other repositories than it was asked for")
    told = {name: digest for name, digest in pairs}

    def compared(known: record.Record) -> None:
        qube = known.repository.qube
        if told[str(known.repository)] != known.digests.get("key"):
            raise ProofFailed(f"{qube}: the key in {known.repository} is not the exported one",
                              f"`qvm-borg-recover --repair-key {qube}` puts that one back")
        session.report.say(f"{qube}: {known.repository} has the key that was exported")

    crowd.each(enrolled, compared)
    crowd.finish()


def repair(session: Session, name: str) -> None:
    """Put the vault's key of a qube back into its repository, in a worker."""
    (_settings, maintenance), keeper = session.site(), vault.required(session.system)
    known = session.enrolled(name)[1]
    repository = known.repository
    with running(maintenance, session.report.say), running(keeper, session.report.say):
        reply = worker.ordered(session, maintenance, keeper, repository, known.digests,
                               "RepairKey", {})
    session.report.say(f"{name}: the key of {repository} was put back" if reply["changed"] == "yes"
                       else f"{name}: {repository} has the vault's key; nothing was changed")
