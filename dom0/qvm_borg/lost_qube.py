"""A qube again that is gone: made as its manifest tells, with its files, and enrolled.

Runs in dom0. The manifest comes back out of the repository, so it is parsed as any foreign text and
a person confirms it. What was made goes on by the note of the enrolment, and is never made anew.
"""

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress

from qborg_wire.names import NameRefused, Repository
from qvm_borg import manifest, record, setup, vault, worker
from qvm_borg.crowd import Crowd
from qvm_borg.enroll import enroll
from qvm_borg.enrolment import ORDER, Asked
from qvm_borg.qubes import Qube
from qvm_borg.session import Session
from qvm_borg.telling import refusal, text


def recover(session: Session, wanted: Sequence[str], options: Namespace, ask: setup.Ask) -> None:
    """Have each of these qubes again; raises the one's error, or PartialFailure after all."""
    keeper = vault.required(session.system)
    with Crowd(session.report, len(wanted), "recovered") as crowd:
        crowd.each(wanted, lambda name: _recover(session, keeper, name, options, ask))


def _recover(session: Session, keeper: Qube, name: str, options: Namespace, ask: setup.Ask) -> None:
    repository, begun = session.original(name)
    if begun is None or manifest.is_begun(session.system, repository.qube):
        archive = made(session, keeper, repository, repository.qube, options, ask)
    elif begun.step == ORDER[-1] or record.CONTINUES not in begun.notes:
        raise refusal("not-gone", qube=repository.qube)
    elif archive := begun.notes.get(record.RESTORE, ""):
        _agreed(options, ask, text("files-again", qube=repository.qube, archive=archive))
    enroll(session, [repository.qube], False, Asked(continues=repository, restore=archive), keeper)


def _agreed(options: Namespace, ask: setup.Ask, question: str) -> None:
    if not (options.yes or ask and ask(question)):
        raise refusal("not-agreed")


def made(session: Session, keeper: Qube, repository: Repository, name: str, options: Namespace,
         ask: setup.Ask) -> str:
    """Have a qube of that name, made by the manifest in a repository, once a person agrees to it.

    Answers the archive that its files are in. Raises EnrolmentRefused, SettingsError.
    """
    maintenance, system = session.maintenance, session.system
    here = ["", *map(str, system.qubes())]
    if name in here and not manifest.is_begun(system, name):
        raise refusal("name-is-here", qube=name)
    with session.running(maintenance, keeper):
        kept = vault.describe(session, keeper, repository)
        told = session.wait(worker.reading_manifest(
            session, keeper, repository, options.archive, kept))
    found = _manifest(session, told, options)
    for kind, value in found:  # before anything is made
        option, _equals, other = value.partition("=") if kind == "property" else (kind, "", value)
        if option in ("template", "netvm") and other not in here:
            raise refusal("not-here", qube=name, option=option, name=other)
    session.report.show(text("qube-was", qube=name, archive=told["archive"]))
    for line in manifest.lines(found):
        session.report.show(f"  {line}")
    _agreed(options, ask, text("make-it-so", qube=name))
    for line in manifest.make(system, name, found)[1]:
        session.report.say(f"{name}: {line}")
    return told["archive"]


def _manifest(session: Session, told: dict[str, str], options: Namespace) -> manifest.Manifest:
    """Answer the one that was read; of one that is bent, or none, what a person has chosen."""
    chosen = {key: given for key in ("template", "label", "netvm") if (given := vars(options)[key])}
    with suppress(NameRefused):
        return manifest.parse(told["manifest"], **chosen)
    session.tell("manifest-is-bent", archive=told["archive"])
    return manifest.parse(manifest.NONE, **chosen)
