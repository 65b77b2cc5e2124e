"""Prove again that the recovery record in the vault opens a qube's repository.

Runs in dom0, as your ordinary user. A disposable without network gets the record from the vault and
the repository through the maintenance qube, reads a file back, and is destroyed. The qube itself is
not asked, nor started.

examples:
  qvm-borg-check work personal
  qvm-borg-check --all
  qvm-borg-check --all --json      a list of objects, for a program
  qvm-borg-check --all --keys      only whether each repository has the key of its enrolment; in
                                   seconds, without vault and worker, such as each day
"""

import json
import sys
from argparse import Namespace
from contextlib import redirect_stdout
from dataclasses import asdict

from qvm_borg import check, repository_keys, tools
from qvm_borg.session import Session


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-check", __doc__)
    parser.add_argument("qubes", metavar="QUBE", nargs="*", help="enrolled qubes")
    parser.add_argument("--all", action="store_true", help="every enrolled qube")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print a list of objects")
    how.add_argument("--keys", action="store_true", help="compare keys only, at the server")
    return parser


def _work(session: Session, options: Namespace) -> None:
    if bool(options.qubes) == options.all:
        get_parser().error("name some qubes, or --all")
    wanted = check.everyone(session) if options.all else options.qubes
    if options.keys:
        repository_keys.compare(session, wanted)
        return
    found: list[check.Checked] = []
    if not options.json:
        check.check(session, wanted, found)
        return
    try:
        with redirect_stdout(sys.stderr):  # what is said meanwhile is not the list
            check.check(session, wanted, found)
    finally:
        print(json.dumps([asdict(each) for each in found], indent=2))


main = tools.command(get_parser, _work)
