"""Enrolment: runs the table of steps for one qube or many, so that every run converges.

Runs in dom0. What is so already is skipped, a killed step is repeated; only the qubes that are
asked for are touched, and they are put back to run or halt as they were found.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from qborg_wire.reply import Failure
from qvm_borg import preflight, record, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.enrolment import ORDER, Asked, Done, Enrolment, Step
from qvm_borg.errors import SettingsError
from qvm_borg.failures import from_failure
from qvm_borg.qubes import Qube, running
from qvm_borg.session import Session
from qvm_borg.steps import STEPS, create, publish

_AFTER_PUBLISH = STEPS[ORDER.index("publish") + 1:]


def enroll(session: Session, wanted: Sequence[str], dry_run: bool, asked: Asked = Asked(),
           keeper: Qube | None = None) -> None:
    """Enrol qubes, without escrow if there is no vault to keep their records.

    Raises the one qube's error, or PartialFailure.
    """
    names = list(dict.fromkeys(wanted))
    if keeper:
        worker.template(session.system)  # without one nothing could be proved at the end
    crowd = Crowd(session.report, len(names), "enrolled")
    enrolments = crowd.each(names, _planner(session, names, asked, keeper))
    if dry_run:
        for line in (line for each in enrolments for line in plan(each)):
            session.report.say(line)
    elif enrolments:
        _run(session, crowd, enrolments)
    crowd.finish()


def key_lines(session: Session, wanted: Sequence[str], asked: Asked) -> list[str]:
    """Answer the lines of authorized_keys; keys are made, and nothing else is changed anywhere."""
    enrolments = list(map(_planner(session, wanted, asked), dict.fromkeys(wanted)))
    if enrolments[0].settings.remote_borg == "probe":
        raise SettingsError("the set-up has not come to its end", "run `qvm-borg-setup` again")
    with running(enrolments[0].maintenance, session.report.say):
        for each in enrolments:
            create(each)
    return [each.line for each in enrolments]


def _planner(
    session: Session, names: Sequence[str], asked: Asked, keeper: Qube | None = None
) -> Callable[[str], Enrolment]:
    settings, maintenance = session.site()
    users = {str(found.repository): qube for qube, found in session.records()
             if found.uuid == qube.uuid}
    taken = [*names, *(qube.name for qube in users.values())]

    def planned(name: str) -> Enrolment:
        enrolment = Enrolment(session, settings, maintenance, session.system.find(name), asked,
                              keeper)
        preflight.qube(enrolment, taken, users.get(str(enrolment.repository)))
        return enrolment

    return planned


def _run(session: Session, crowd: Crowd, enrolments: Sequence[Enrolment]) -> None:
    maintenance, keeper = enrolments[0].maintenance, vault.find(session.system)
    with ExitStack() as stack:
        needed = [keeper] if keeper else []  # of the account's record, also with --no-escrow
        needed += [enrolments[0].qube] if len(enrolments) == 1 else []
        for qube in (maintenance, *needed):
            stack.enter_context(running(qube, session.report.say))
        taken = preflight.server(enrolments)
        good = crowd.each(enrolments, lambda each: _checked(each, taken))
        good = crowd.each(good, lambda each: _walk(each, STEPS[ORDER.index("create")]))
        if good:
            done, awaited = publish(good)
            if keeper:
                vault.keep(session, maintenance, keeper,
                           vault.account(enrolments[0].settings, maintenance))
            good = crowd.each(good, lambda each: _published(each, done, awaited))
        for each in crowd.each(good, _completed):
            session.report.say(f"{each}: enrolled as {each.repository}" if each.changed
                               else f"{each}: was enrolled already; nothing was changed")
            each.warn()


def _checked(enrolment: Enrolment, taken: Mapping[str, str]) -> Enrolment:
    _show(enrolment, "plan", f"as {enrolment.repository} on {enrolment.settings.server}")
    preflight.client(enrolment, taken)
    done = Done("nothing speaks against it", changed=False)
    if enrolment.asked.directory != "none":  # its holder may still refuse, and then changes nothing
        _show(enrolment, "preflight", done.text)
        return enrolment
    return _tell(enrolment, "preflight", done)


def _published(enrolment: Enrolment, done: Done, awaited: Sequence[str]) -> Enrolment:
    if str(enrolment.repository) in awaited:
        _show(enrolment, "publish", f"this line is awaited in the keys of "
                                    f"{enrolment.settings.server}:")
        enrolment.session.report.say(enrolment.line)
        raise from_failure(enrolment.qube.name, Failure("keys-awaited", "-"))
    return _tell(enrolment, "publish", done)


def _completed(enrolment: Enrolment) -> Enrolment:
    with running(enrolment.qube, enrolment.session.report.say):
        return _walk(enrolment, *_AFTER_PUBLISH)


def _walk(enrolment: Enrolment, *rows: Step) -> Enrolment:
    for row in rows:
        if row.escrow and enrolment.vault is None:
            _show(enrolment, row.name, "skipped, by --no-escrow")
        else:
            is_so = row.question(enrolment)
            _tell(enrolment, row.name, Done(row.so, False) if is_so else row.action(enrolment))
    return enrolment


def _tell(enrolment: Enrolment, name: str, done: Done) -> Enrolment:
    """Write the record before the next step begins, and say what was done."""
    enrolment.note(name, done)
    _show(enrolment, name, done.text)
    return enrolment


def _show(enrolment: Enrolment, name: str, text: str) -> None:
    enrolment.session.report.step(ORDER, name, f"{enrolment}: {text}")


def plan(enrolment: Enrolment) -> list[str]:
    """Answer what enrolling this qube would change, a line for each place."""
    name, keeper, repository = enrolment.qube, enrolment.maintenance, enrolment.repository
    started = ", started for it and stopped again" if name.state() == "Halted" else ""
    moved = ("; the repository of the old keys moves there, and what still uses its old place fails"
             if enrolment.asked.directory != "none" else "")
    return [
        f"{name} would be enrolled as {repository}; this is a dry run, nothing is changed",
        f"  dom0: features {record.FEATURE}, service.qborg-client, service.crond of {name}; "
        f"for a moment, policy that lets {keeper} deliver to {name}",
        f"  {name}: ~/.ssh/backups, one line in ~/.ssh/config, one block in the crontab, "
        f"~/.config/qubes-borg{started}",
        f"  {enrolment.holder}: a key pair and a passphrase, which "
        + ("nobody else but the vault gets" if enrolment.by_client else
           f"it forgets when {enrolment.vault} has them and they are proved" if enrolment.vault
           else "it keeps")
        + (f", copied from {enrolment.asked.directory}" if moved else ""),
        *([f"  {worker.NAME}: for a moment, a disposable without network, for the proof"]
          if enrolment.vault else []),
        f"  {enrolment.settings.server}: a line in .ssh/authorized_keys, {repository.path}{moved}",
    ]
