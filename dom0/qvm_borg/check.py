"""The proof of an enrolment, made again: the vault's record still opens the repository.

Runs in dom0. A worker is made for each repository, as none may hold two secrets.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from qvm_borg import record, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.enrolment import Done, Enrolment
from qvm_borg.errors import EscrowMissing
from qvm_borg.qubes import running
from qvm_borg.session import Session


@dataclass(frozen=True)
class Checked:
    """A repository that was opened by the vault's record; `archives` is how many it holds."""

    qube: str
    repository: str
    archive: str
    archives: int


def everyone(session: Session) -> list[str]:
    """Answer every qube that is enrolled itself, no copies."""
    return [qube.name for qube, known in session.records() if known.uuid == qube.uuid]


def check(session: Session, wanted: Sequence[str], found: list[Checked]) -> None:
    """Prove each qube's record again; `found` gets what was proved, also before a failure.

    Raises the one qube's error, or PartialFailure after all.
    """
    (settings, maintenance), keeper = session.site(), vault.required(session.system)
    names = list(dict.fromkeys(wanted))
    crowd = Crowd(session.report, len(names), "checked")
    with ExitStack() as stack:
        for qube in (maintenance, keeper):
            stack.enter_context(running(qube, session.report.say))

        def checked(name: str) -> None:
            qube, _known = session.enrolled(name)
            found.append(_check(Enrolment(session, settings, maintenance, qube, vault=keeper)))

        crowd.each(names, checked)
    crowd.finish()


def _check(enrolment: Enrolment) -> Checked:
    known, keeper = enrolment.record, vault.of(enrolment)
    archive = known.notes.get("archive")
    if not known.escrowed or archive is None:
        raise EscrowMissing(f"{enrolment}: no vault has its recovery record",
                            f"run `qvm-borg-enroll {enrolment}`")
    reply = worker.prove(enrolment.session, enrolment.maintenance, keeper, known.repository,
                         archive, known.digests)
    enrolment.note("prove", Done("", learnt={
        "notes": {"proved": record.PROOF_IN_WORKER}, "times": {"proved": str(int(time.time()))}}))
    enrolment.session.report.say(f"{enrolment}: the record in {keeper} opens {known.repository}; "
                                 f"a file of {archive} was read back")
    return Checked(enrolment.qube.name, str(known.repository), archive, int(reply["archives"]))
