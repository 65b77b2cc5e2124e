"""Files of a repository into another qube: one that is here, a disposable, or a new one.

Runs in dom0. The vault sends that qube the record, into memory and for this alone, and the
maintenance qube lends it the repository. The qube of the repository is not asked, and may be gone.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from qvm_borg import lost_qube, manifest, record, vault, worker
from qvm_borg.qubes import Qube
from qvm_borg.report import size
from qvm_borg.session import ROLE, Session
from qvm_borg.setup import Ask
from qvm_borg.telling import refusal

DISPOSABLE, _LABEL = "borg-restored", "red"


def restore(session: Session, options: Namespace, ask: Ask) -> None:
    """Have the files in that qube; raises what a call raises, then it is as it was."""
    maintenance, keeper = session.maintenance, vault.required(session.system)
    repository, known = session.original(options.qube)
    name = options.to or options.to_new or DISPOSABLE
    if name in (options.qube, str(maintenance), str(keeper)) or options.to and session.system.find(
            name).property("klass") not in ("AppVM", "StandaloneVM", "DispVM"):
        raise refusal("cannot-get-files", qube=name)
    with session.running(maintenance, keeper):
        kept = {**vault.describe(session, keeper, repository), **(known.digests if known else {})}
        if options.to_new:
            options.archive = lost_qube.made(session, keeper, repository, name, options, ask)
        values = {"archive": options.archive, "paths": options.paths, "lender": str(maintenance),
                  "directory": options.to_directory or "none", "stage": "extract"}
        receiver = _receiver(session, name, bool(options.to_disposable), lambda qube: session.call(
            qube, "ReceiveFiles", {**values, "stage": "check"}, repository))
        reply = session.wait(worker.ordering(
            session, keeper, repository, kept, "ReceiveFiles", receiver, **values))
    tell(session, session.system.find(name), options, reply)


def tell(session: Session, qube: Qube, options: Namespace, reply: dict[str, str]) -> None:
    """Say what has come where."""
    place = options.to_directory or (
        "their places" if options.in_place else f"~/restored/{reply['archive']}")
    session.tell("files-are-in", qube=qube, files=reply["files"], bytes=size(int(reply["bytes"])),
                 archive=reply["archive"], directory=place, warnings=reply["warnings"])
    if options.to_disposable:  # not before: where it failed, we end it and remove it ourselves
        qube.admin("property.Set", "auto_cleanup", "True")
        session.tell("disposable-stays", qube=qube)


@contextmanager
def _receiver(session: Session, name: str, disposable: bool,
              check: Callable[[Qube], object]) -> Iterator[Qube]:
    """Have the qube that gets the files run for the block, in the client's role, and checked.

    Afterwards it is as it was, and a disposable without network stays if the block ends well.
    Raises TemplateError for one without our services.
    """
    system = session.system
    with ExitStack() as stack:
        if disposable:
            manifest.check_free(system, name)
            system.discard(Role.CLIENT, name)
            stack.callback(system.discard, Role.CLIENT, name)
            source = system.disposable_template().name
            system.create(Role.CLIENT, name, _LABEL, source, "", "DispVM")
        qube = system.find(name).offering(SERVICES["ReceiveFiles"], "cannot-receive")
        if disposable:
            qube.start()
        else:
            if not qube.feature(record.FEATURE):
                stack.callback(qube.remove_feature, ROLE)  # the last thing: it is asked before
            stack.enter_context(session.running(qube))
        qube.set_feature(ROLE, "1")
        check(qube)
        yield qube
        manifest.done(system, name)
