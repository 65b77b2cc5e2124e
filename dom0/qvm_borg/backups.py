"""Backups of several qubes: whose turn it is, who has nothing new, and what became of each.

Runs in dom0. A qube that has nothing new is not started: dom0 asks qubesd alone.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qvm_borg import record, schedule
from qvm_borg.crowd import Crowd
from qvm_borg.enrolment import ORDER, Done, Enrolment
from qvm_borg.errors import QvmBorgError
from qvm_borg.flow import Flow
from qvm_borg.qubes import Qube
from qvm_borg.report import moment
from qvm_borg.session import Session
from qvm_borg.steps import backup
from qvm_borg.telling import from_failure, refusal
from qvm_borg.visits import Visits, is_marked

_SETTLE, _LOOK = 30.0, 0.2  # seconds: until a halted qube's volume must have its new revision


@dataclass(frozen=True)
class Result:
    """What became of a qube: done, clean, failed; left-out, a copy. In bytes and seconds."""

    qube: str
    outcome: str
    archive: str = ""
    files: int = 0
    bytes: int = 0
    sent: int = 0
    seconds: int = 0
    error: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.qube:<31}  {self.outcome:<8}  {self.hint or self.archive}"


class Backups:
    """One run; `results` gets what becomes of each qube. `memory`: in MiB, of those it starts."""

    def __init__(self, session: Session, memory: int) -> None:
        self._session, self.visits = session, Visits(session, memory)
        self.results: list[Result] = []

    def chosen(self, due: bool) -> list[str]:
        """Answer the enrolled qubes, or those whose turn it is; one that cannot be will say why.

        Tells of copies, which are nobody's failure.
        """
        found = self._session.unread()
        for qube, known in self._session.records():
            try:
                self._enrolled(qube.name)
                if not due or is_marked(qube) or self._is_due(qube, known):
                    found.append(qube.name)
            except QvmBorgError as error:
                if known.uuid == qube.uuid:
                    found.append(qube.name)
                    continue
                self._session.report.error(error)
                self._fail(qube.name, "left-out", error)
        return found

    def run(self, wanted: Sequence[str], jobs: int) -> None:
        """Back up, so many at once; raises the one qube's error, or PartialFailure after all."""
        with Crowd(self._session.report, len(wanted), "backed up") as crowd:
            try:
                crowd.together(wanted, self._one, jobs)
            finally:
                self.visits.finish()

    def _enrolled(self, name: str) -> tuple[Qube, record.Record]:
        qube, known = self._session.enrolled(name)
        if record.RESTORE in known.notes:  # the newest archive were one of an empty home
            raise from_failure(qube, "has-files-to-come")
        if known.step in ORDER[:ORDER.index("deliver")]:
            raise refusal("enrolment-unfinished", name=name)
        return qube, known

    def _is_due(self, qube: Qube, known: record.Record) -> bool:
        if schedule.is_paused(qube):
            return False
        if (hours := schedule.hours(qube)) is None:
            self._session.tell("interval-unread", qube=qube, feature=schedule.INTERVAL,
                               usual=schedule.USUAL)
        age = time.time() - int(known.times.get("backup", "0"))
        return not 0 <= age < (hours or schedule.USUAL) * 3600 and (
            not schedule.is_clean(qube, known))

    def _one(self, name: str) -> Flow[None]:
        begun = time.monotonic()
        try:
            reply = yield from self._backed_up(name)
        except QvmBorgError as error:
            self._fail(name, "failed", error)
            raise
        numbers = (int(reply.get(key, "0")) for key in ("files", "bytes", "sent"))
        self.results.append(Result(name, "done" if "files" in reply else "clean", reply["archive"],
                                   *numbers, int(time.monotonic() - begun)))

    def _fail(self, name: str, outcome: str, error: QvmBorgError) -> None:
        self.results.append(Result(name, outcome, error=error.message, hint=error.hint))

    def _backed_up(self, name: str) -> Flow[Mapping[str, str]]:
        """Answer what the backup replied, or the archive alone that the qube is like."""
        session, (qube, known) = self._session, self._enrolled(name)
        if schedule.is_clean(qube, known):
            session.tell("nothing-new", qube=qube, when=moment(int(known.times["backup"])))
            return {"archive": known.notes["archive"]}
        enrolment = Enrolment(session, qube)
        yield from self.visits.coming(qube)
        with self.visits.at(qube) as was_halted:
            done = yield from backup(enrolment)
            enrolment.note("backup", done)
            session.report.say(f"{qube}: {done.text}")
            before = schedule.revisions(qube) if was_halted else ""
        if before:
            enrolment.note("backup", Done("", learnt={"digests": {
                record.REVISIONS: _next_revisions(qube, before)}}))
        enrolment.warn()
        return done.reply


def _next_revisions(qube: Qube, before: str) -> str:
    """Answer those after a stop, once all is put away; nothing if it is not halted, or not known.

    A qube counts as halted before its volume is put away.
    """
    last, deadline = before, time.monotonic() + _SETTLE
    while qube.state() == "Halted" and time.monotonic() < deadline:
        if (found := schedule.revisions(qube)) == last not in ("", before):
            return found
        last = found
        time.sleep(_LOOK)
    return ""
