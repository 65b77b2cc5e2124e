"""Tell what dom0 has seen of the enrolled qubes' backups, those in trouble first.

Runs in dom0, as your ordinary user. No qube is started or asked: a backup that a qube made by its
own schedule is not shown here; `borgbak list` in the qube shows it.

examples:
  qvm-borg-status              every enrolled qube
  qvm-borg-status work         only this one
  qvm-borg-status --json       for a program; each time is in seconds since 1970, 0 is never
"""

import json
from argparse import Namespace
from dataclasses import asdict

from qvm_borg import status, tools
from qvm_borg.errors import InTrouble
from qvm_borg.session import Session


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-status", __doc__)
    parser.add_argument("qubes", metavar="QUBE", nargs="*", help="only these; else all")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    return parser


def _work(session: Session, options: Namespace) -> None:
    rows = status.rows([session.known(name) for name in options.qubes] or session.records())
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif rows:
        for line in status.table(rows):
            session.report.say(line)
    else:
        session.report.say("no qube is enrolled; `qvm-borg-enroll NAME` enrols one")
    troubled = [row.qube for row in rows if row.needs_you]
    if troubled:
        raise InTrouble(f"{len(troubled)} of {len(rows)} qubes need you: {' '.join(troubled)}")


main = tools.command(get_parser, _work, changes=False)
