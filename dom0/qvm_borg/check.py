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


def check(session: Session, wanted: Sequence[str], found: list[Checked],
          accept: bool = False) -> None:
    """Prove each qube's record again; `found` gets what was proved, also before a failure.

    `accept`: whichever record the vault has now; once it is proved, dom0 notes it as the qube's.
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
            each = Enrolment(session, settings, maintenance, qube, vault=keeper)
            found.append(_check(each, accept))

        crowd.each(names, checked)
    crowd.finish()


def _check(enrolment: Enrolment, accept: bool) -> Checked:
    session, known, keeper = enrolment.session, enrolment.record, vault.of(enrolment)
    archive = known.notes.get("archive")
    if not known.escrowed or archive is None:
        raise EscrowMissing(f"{enrolment}: no vault has its recovery record",
                            f"run `qvm-borg-enroll {enrolment}`")
    told = vault.describe(session, keeper, known.repository) if accept else known.digests
    if told.get("key") != known.digests.get("key"):
        raise EscrowMissing(f"{keeper}: it has no record of {enrolment} with the exported key",
                            f"`qborg-vault-import` in {keeper} takes one of a file or a kit")
    digests = {**known.digests, "record": told.get("record", "none")}
    reply = worker.prove(session, enrolment.maintenance, keeper, known.repository, archive, digests)
    enrolment.note("prove", Done("", learnt={
        "digests": digests, "notes": {"proved": record.PROOF_IN_WORKER},
        "times": {"proved": str(int(time.time()))}}))
    session.report.say(f"{enrolment}: the record in {keeper} opens {known.repository}; "
                       f"a file of {archive} was read back")
    return Checked(enrolment.qube.name, str(known.repository), archive, int(reply["archives"]))
