"""The worker: a disposable without network for one job on one repository, then gone.

Runs in dom0. It has one name, and dom0 notes the intention before it is made: so what a killed
command has left is found and destroyed, by the next one if that left a gate open as well, else
before the next worker is made.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from qborg_wire.names import Repository
from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg.flow import Flow, Turn
from qvm_borg.manifest import NONE, digest
from qvm_borg.qubes import Qube, System
from qvm_borg.session import Session
from qvm_borg.telling import refusal

NAME, _LABEL = "borg-worker", "gray"
_TURN = Turn()  # there is one at a time


def template(system: System) -> Qube:
    """Answer the disposable template that workers are made of; raises SettingsError without one.

    Raises TemplateError if it lacks our services.
    """
    return system.disposable_template().offering(SERVICES["AcceptRecord"], "worker-lacks-services")


@contextmanager
def made(session: Session) -> Iterator[Qube]:
    """Have a running worker for the block; it is destroyed whatever happens."""
    system, source = session.system, template(session.system)
    system.discard(Role.WORKER, NAME)
    session.report.detail(f"{NAME}: a disposable of {source}, without network")
    try:
        worker = system.create(Role.WORKER, NAME, _LABEL, source.name, "", "DispVM")
        worker.set_feature(f"service.qborg-{Role.WORKER.value}", "1")
        worker.start()
        yield worker
    finally:
        system.discard(Role.WORKER, NAME)


def ordering(session: Session, keeper: Qube, repository: Repository, digests: Mapping[str, str],
             name: str, receiver: AbstractContextManager[Qube] | None = None,
             **values: str | Sequence[str]) -> Flow[dict[str, str]]:
    """Have a worker do its one job: the service NAME, with the vault's record and the repository.

    `receiver`: what has another qube run that gets both, in the client's role. `digests`: that of
    the record, as dom0 knows it; with another one, nothing is lent. Answers what the worker says;
    the vault and the maintenance qube run. Raises WireError for another record, or what a call
    raises.
    """
    another = refusal("another-record-sent", vault=keeper, repository=repository)
    role, lender = Role.CLIENT if receiver else Role.WORKER, session.maintenance
    yield from _TURN.coming()
    with _TURN, receiver or made(session) as worker:
        sent = yield from session.releasing(keeper, worker, role, repository)
        if sent != digests.get("record"):
            raise another
        yield from session.calling(lender, "LendRepository", {"worker": worker.name}, repository)
        reply = yield from session.passing("ServeRepository", worker, lender, name,
                                           {**values, "lender": lender.name}, repository)
        if reply["record"] != digests.get("record"):
            raise another
    return reply


def proving(session: Session, keeper: Qube, repository: Repository, archive: str,
            known: Mapping[str, str]) -> Flow[dict[str, str]]:
    """Prove in a worker that the vault's record opens the repository.

    `known`: also those of the archive's proof and manifest. Raises ProofFailed, or what
    `ordering` raises.
    """
    reply = yield from ordering(session, keeper, repository, known, "ProveRecord", archive=archive)
    _compare(repository, archive, {key: reply[key] for key in ("proof", "manifest")}, known)
    return reply


def reading_manifest(session: Session, keeper: Qube, repository: Repository, archive: str,
                     known: Mapping[str, str]) -> Flow[dict[str, str]]:
    """Read the manifest in an archive, or in the `latest`, in a worker: NONE if it has none.

    `known`: also the manifest's, if dom0 knows which one that archive should have. Answers the
    `archive` and the `manifest`, a text to be parsed. Raises ProofFailed, or what `ordering`
    raises.
    """
    reply = yield from ordering(session, keeper, repository, known, "ReadManifest", archive=archive)
    text = reply["manifest"] if reply["manifest"] == NONE else json.loads(reply["manifest"])
    _compare(repository, reply["archive"], {"manifest": digest(text)}, known)
    return {**reply, "manifest": text}


def _compare(repository: Repository, archive: str, found: Mapping[str, str],
             digests: Mapping[str, str]) -> None:
    """Raise ProofFailed for another digest than dom0 knows; of a manifest it may know none."""
    known = {"manifest": found["manifest"], **digests}
    if any(known.get(key) != told for key, told in found.items()):
        raise refusal("proof-differs", repository=repository, archive=archive)
