"""The worker: a disposable without network for one job on one repository, then gone.

Runs in dom0. It has one name, and dom0 notes the intention before it is made, so that the next
command finds and destroys what a killed one has left.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qborg_wire.names import Repository
from qborg_wire.request import Values
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
        raise TemplateError(f"{found}, the default disposable template, lacks a worker's services",
                            "install qubes-borg-worker in its template, and shut both down")
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


def ordered(session: Session, maintenance: Qube, keeper: Qube, repository: Repository,
            digests: Mapping[str, str], name: str, values: Values) -> dict[str, str]:
    """Have a worker do its one job: the service NAME, with the vault's record and the repository.

    `digests`: that of the record, as dom0 knows it. Answers what the worker says; both qubes run.
    Raises WireError for another record, or what a call raises.
    """
    with made(session) as worker:
        session.passing("AcceptRecord", keeper, worker, "ReleaseRecord",
                        {"receiver": worker.name}, repository)
        session.call(maintenance, "LendRepository", {"worker": worker.name}, repository)
        reply = session.passing("ServeRepository", worker, maintenance, name,
                                {**values, "lender": maintenance.name}, repository)
    if reply["record"] != digests.get("record"):
        raise WireError(f"{keeper}: it has sent another record of {repository} than it told of")
    return reply


def prove(session: Session, maintenance: Qube, keeper: Qube, repository: Repository,
          archive: str, digests: Mapping[str, str]) -> dict[str, str]:
    """Prove in a worker that the vault's record opens the repository.

    `digests`: also that of the archive's proof. Raises ProofFailed, or what `ordered` raises.
    """
    reply = ordered(session, maintenance, keeper, repository, digests, "ProveRecord",
                    {"archive": archive})
    if reply["proof"] != digests.get("proof"):
        raise ProofFailed(f"{repository}: what was read back from {archive} with the vault's "
                          "record is not what was saved")
    return reply
