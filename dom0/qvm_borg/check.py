"""The proof of an enrolment, made again: the vault's record still opens the repository.

Runs in dom0. A worker is made for each repository, as none may hold two secrets.
"""

import time
from collections.abc import Sequence

from qvm_borg import record, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.enrolment import ORDER, Done, Enrolment
from qvm_borg.session import Session
from qvm_borg.telling import refusal

Checked = dict[str, str | int]  # a qube, its repository, the archive of it, how many it holds


def check(session: Session, wanted: Sequence[str], found: list[Checked],
          accept: bool = False) -> None:
    """Prove each qube's record again; `found` gets what was proved, also before a failure.

    `accept`: whichever record the vault has now; once it is proved, dom0 notes it as the qube's.
    Raises the one qube's error, or PartialFailure after all.
    """
    maintenance, keeper = session.maintenance, vault.required(session.system)
    with Crowd(session.report, len(wanted), "checked") as crowd, (
            session.running(maintenance, keeper)):
        crowd.each(wanted, lambda name: _check(
            Enrolment(session, session.enrolled(name)[0], vault=keeper), found, accept))


def _check(enrolment: Enrolment, found: list[Checked], accept: bool) -> None:
    session, known, keeper = enrolment.session, enrolment.record, vault.of(enrolment)
    archive = known.notes.get("archive")
    if not known.escrowed or archive is None:
        raise refusal("record-nowhere", qube=enrolment)
    # Else it would skip the proof of its own, which an enrolment ends with.
    whole = (known.step == ORDER[-1] and record.ROTATION not in known.notes
             and known.times.get("proved", "0") != "0")
    if not (whole or accept):
        raise refusal("enrolment-unfinished", name=enrolment)
    told = vault.describe(session, keeper, known.repository) if accept else known.digests
    if told.get("key") != known.digests.get("key"):
        raise refusal("record-without-key", vault=keeper, qube=enrolment)
    digests = {**known.digests, "record": told.get("record", "none")}
    reply = session.wait(worker.proving(session, keeper, known.repository, archive, digests))
    new = {"notes": {"proved": record.PROOF_IN_WORKER}, "times": {"proved": str(int(time.time()))}}
    enrolment.note(ORDER[0], Done("", learnt={"digests": digests, **(new if whole else {})}))
    session.tell("record-opens", qube=enrolment, vault=keeper, repository=known.repository,
                 archive=archive)
    found.append({"qube": enrolment.qube.name, "repository": str(known.repository),
                  "archive": archive, "archives": int(reply["archives"])})
