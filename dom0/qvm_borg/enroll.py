"""Enrolment: runs the table of steps for one qube or many, so that every run converges.

Runs in dom0. What is so already is skipped, a killed step is repeated; only the qubes that are
asked for are touched, and they are put back to run or halt as they were found.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from qborg_wire import data
from qvm_borg import preflight, record, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.enrolment import ORDER, Asked, Done, Enrolment
from qvm_borg.errors import filled
from qvm_borg.flow import Flow
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.steps import STEPS, creating, publishing
from qvm_borg.telling import from_failure, refusal, text
from qvm_borg.visits import Visits

_TOLD = data.beside(__file__, "plan")


def enroll(session: Session, wanted: Sequence[str], dry_run: bool, asked: Asked = Asked(),
           keeper: Qube | None = None) -> None:
    """Enrol qubes, without escrow if there is no vault to keep their records.

    Raises the one qube's error, or PartialFailure.
    """
    if keeper:
        worker.template(session.system)  # without one nothing could be proved at the end
    with Crowd(session.report, len(wanted), "enrolled") as crowd:
        enrolments = crowd.each(wanted, _planner(session, wanted, asked, keeper))
        if dry_run:
            for each in enrolments:
                _say_plan(each)
        elif enrolments:
            _run(session, crowd, enrolments)


def key_lines(session: Session, wanted: Sequence[str], asked: Asked) -> list[str]:
    """Answer the lines of authorized_keys; keys are made, and nothing else is changed anywhere."""
    planned = _planner(session, wanted, asked, vault.find(session.system))
    enrolments = list(map(planned, wanted))
    if enrolments[0].settings.remote_borg == "probe":
        raise refusal("set-up-unfinished")
    with session.running(enrolments[0].maintenance):
        for each in enrolments:
            each.vault = None  # it is not asked here
            session.wait(creating(each))
    return [each.line for each in enrolments]


def _planner(session: Session, names: Sequence[str], asked: Asked,
             keeper: Qube | None = None) -> Callable[[str], Enrolment]:
    session.require_set_up()  # else each qube would say that it is not
    users = {str(found.repository): qube for qube, found in session.originals().values()}
    taken = [*names, *(qube.name for qube in users.values())]

    def planned(name: str) -> Enrolment:
        enrolment = Enrolment(session, session.system.find(name), asked, keeper)
        preflight.qube(enrolment, taken, [users[each] for each in map(
            str, (enrolment.repository, asked.continues)) if each in users])
        return enrolment

    return planned


def _run(session: Session, crowd: Crowd, enrolments: Sequence[Enrolment]) -> None:
    maintenance, keeper = session.maintenance, vault.find(session.system)
    alone = enrolments[0].qube if len(enrolments) == 1 else None
    # The vault keeps the account's record, also with --no-escrow.
    with ExitStack() as stack, session.running(maintenance, *filter(None, (keeper, alone))):
        if not alone:
            visits = Visits(session, enrolments[0].asked.memory)
            stack.callback(visits.finish)  # at the very end, as others use a net qube
            for each in enrolments:
                each.visits = visits
        taken, jobs = preflight.server(enrolments), enrolments[0].asked.jobs
        good = crowd.together(enrolments, lambda each: _checked(each, taken), jobs)
        good = crowd.together(good, _created, jobs)
        if good:
            done = session.wait(publishing(good, keeper))
            good = crowd.each(good, lambda each: _published(each, done))
        crowd.together(good, _completed, jobs)


def _checked(enrolment: Enrolment, taken: Mapping[str, str]) -> Flow[Enrolment]:
    _show(enrolment, "plan", f"as {enrolment.repository} on {enrolment.settings.server}")
    yield from preflight.client(enrolment, taken)
    if enrolment.asked.directory == "none":  # else its holder may still refuse, unchanged
        enrolment.note("preflight", Done("", changed=False))
    _show(enrolment, "preflight", "nothing speaks against it")
    return enrolment


def _created(enrolment: Enrolment) -> Flow[Enrolment]:
    return _tell(enrolment, "create", (yield from creating(enrolment)))


def _published(enrolment: Enrolment, done: Done) -> Enrolment:
    if str(enrolment.repository) in done.reply["awaited"].split():
        _show(enrolment, "publish", text("line-awaited", server=enrolment.settings.server))
        enrolment.session.report.show(enrolment.line)
        raise from_failure(enrolment, "keys-awaited")
    return _tell(enrolment, "publish", done)


def _completed(enrolment: Enrolment) -> Flow[None]:
    yield from enrolment.coming()
    with enrolment.running():
        for row in STEPS:
            if row.escrow and enrolment.vault is None:
                _show(enrolment, row.name, "skipped, by --no-escrow")
            elif row.question(enrolment):
                _tell(enrolment, row.name, Done(_TOLD["so"][row.name], changed=False))
            else:
                _tell(enrolment, row.name, (yield from row.action(enrolment)))
    enrolment.session.report.say(
        f"{enrolment}: enrolled as {enrolment.repository}" if enrolment.changed
        else f"{enrolment}: was enrolled already; nothing was changed")
    enrolment.warn()


def _tell(enrolment: Enrolment, name: str, done: Done) -> Enrolment:
    """Write the record before the next step begins, and say what was done."""
    enrolment.note(name, done)
    _show(enrolment, name, done.text)
    return enrolment


def _show(enrolment: Enrolment, name: str, told: str) -> None:
    enrolment.session.report.step(ORDER, name, f"{enrolment}: {told}")


def _say_plan(enrolment: Enrolment) -> None:
    """Say what enrolling this qube would change, a line for each place."""
    asked = enrolment.asked
    is_so = {"halted": enrolment.qube.state() == "Halted", "by_client": enrolment.by_client,
             "imported": asked.directory != "none", "escrowed": enrolment.vault is not None,
             "continues": asked.continues is not None,
             "key_file": enrolment.record.encryption == record.KEYFILE}
    words = {"name": enrolment.qube, "keeper": enrolment.maintenance, "holder": enrolment.holder,
             "repository": enrolment.repository, "directory": asked.directory,
             "vault": enrolment.vault, "server": enrolment.settings.server, "worker": worker.NAME,
             "former": asked.continues, "feature": record.FEATURE}
    for row in _TOLD["line"]:
        if all(is_so[word.lstrip("!")] != word.startswith("!") for word in row.get("when", [])):
            enrolment.session.report.show(filled(row["says"], **words))
