"""Back up one enrolled qube now, beside its schedule.

Runs in dom0, as your ordinary user; the qube itself does the work. A halted qube is started for
it and shut down afterwards.

examples:
  qvm-borg-backup work
"""

from argparse import Namespace

from qvm_borg import tools
from qvm_borg.enrolment import Enrolment
from qvm_borg.qubes import running
from qvm_borg.session import Session
from qvm_borg.steps import backup


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-backup", __doc__)
    parser.add_argument("qube", metavar="QUBE", help="an enrolled qube")
    return parser


def _work(session: Session, options: Namespace) -> None:
    qube, found = session.enrolled(options.qube)
    enrolment = Enrolment(session, *session.site(), qube)
    with running(qube, session.report.say):
        done = backup(session, qube, found.repository)
    enrolment.note("backup", done)
    session.report.say(f"{qube}: {done.text}")
    enrolment.warn()


main = tools.command(get_parser, _work)
