"""The worker: a disposable without network for one job on one repository, then gone.

Runs in dom0. It has one name, and dom0 notes the intention before it is made, so that the next
command finds and destroys what a killed one has left.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qborg_wire.names import Repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg.errors import ProofFailed, TemplateError, WireError
from qvm_borg.qubes import Qube, System
from qvm_borg.session import Session

NAME, _LABEL = "borg-worker", "gray"


def template(system: System) -> Qube:
    """Answer the disposable template that workers are made of; raises SettingsError without one.

    Raises TemplateError if it lacks our services.
    """
    found = system.disposable_template()
    if not found.offers(SERVICES["AcceptRecord"]):
        raise TemplateError(f"{found}, the default disposable template, does not offer the "
                            "services of a worker", "install qubes-borg-worker in its template, "
                            "shut both down, and try again")
    return found


@contextmanager
def made(session: Session) -> Iterator[Qube]:
    """Have a running worker for the block; it is destroyed whatever happens."""
    system, source = session.system, template(session.system)
    system.discard(Role.WORKER, NAME)
    session.report.detail(f"{NAME}: a disposable of {source}, without network")
    try:
        worker = system.create(Role.WORKER, NAME, _LABEL, source.name, None, "DispVM")
        worker.cut_off()
        worker.set_feature(f"service.qborg-{Role.WORKER.value}", "1")
        worker.start()
        yield worker
    finally:
        system.discard(Role.WORKER, NAME)


@contextmanager
def lent(session: Session, maintenance: Qube, keeper: Qube,
         repository: Repository) -> Iterator[Qube]:
    """Have a worker that holds the vault's record and may ask for the repository; both run."""
    with made(session) as worker:
        session.passing("AcceptRecord", keeper, worker, "ReleaseRecord",
                        {"receiver": worker.name}, repository)
        session.call(maintenance, "LendRepository", {"worker": worker.name}, repository)
        yield worker


def prove(session: Session, maintenance: Qube, keeper: Qube, repository: Repository,
          archive: str, digests: Mapping[str, str]) -> dict[str, str]:
    """Prove in a worker that the vault's record opens the repository; both qubes run.

    digests: those of the record and of the archive's proof, as dom0 knows them. Answers what the
    worker says. Raises ProofFailed, WireError for another record, or what a call raises.
    """
    with lent(session, maintenance, keeper, repository) as worker:
        reply = session.passing(
            "ServeRepository", worker, maintenance, "ProveRecord",
            {"archive": archive, "lender": maintenance.name}, repository)
    if reply["record"] != digests.get("record"):
        raise WireError(f"{keeper}: it has sent another record of {repository} than it told of")
    if reply["proof"] != digests.get("proof"):
        raise ProofFailed(f"{repository}: what was read back from {archive} with the vault's "
                          "record is not what was saved")
    return reply
