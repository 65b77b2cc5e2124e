"""Enrol qubes: keys, a repository, delivery, a schedule, the first backup and its proof.

Runs in dom0, as your ordinary user. No key or passphrase passes through dom0: they go from the
maintenance qube to the qube itself and to the vault, and then the maintenance qube forgets them.
Run it again at any time: what is done is left alone.

examples:
  qvm-borg-enroll work --dry-run                 what would change, and where
  qvm-borg-enroll work personal                  both, one after the other
  qvm-borg-enroll work --show-authorized-keys    only its key and its line for the server's list
  qvm-borg-enroll work --quota 50G               at most 50 GB there; for an enrolled one too
  qvm-borg-enroll work --import /home/user/host-keys/work    with the old scripts' keys
  qvm-borg-enroll work --keys client             its secrets are made in work, not elsewhere
  qvm-borg-enroll work --no-escrow               without a copy of the secrets in a vault
"""

import sys
from argparse import Namespace
from contextlib import redirect_stdout
from functools import partial

from qborg_wire import names
from qborg_wire.services import SERVICES
from qvm_borg import tools, vault
from qvm_borg.enroll import enroll, key_lines
from qvm_borg.enrolment import Asked
from qvm_borg.session import Session


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-enroll", __doc__)
    is_a = {row.name: tools.argument(partial(names.parse, row.pattern, row.limit))
            for row in SERVICES["MakeKeys"].request}
    parser.add_argument("qubes", metavar="QUBE", nargs="+", help="the qubes to enrol")
    parser.add_argument("--quota", metavar="SIZE", default="keep", type=is_a["quota"],
                        help="each one's limit on the server: 10M to 999999T; none lifts it")
    parser.add_argument("--import", metavar="DIR", dest="directory", default="none",
                        type=is_a["directory"], help="of one qube: an absolute path in the "
                        "maintenance qube, of the old scripts' host-keys/NAME")
    parser.add_argument("--keys", choices=("maintenance", "client"), help="where secrets are made: "
                        "the maintenance qube (by default), which forgets them once they are "
                        "proved; or the qube itself, so that no other one ever has them but the "
                        "vault")
    parser.add_argument("--no-escrow", action="store_true",
                        help="keep the secrets in the maintenance qube and in no vault")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="print what would change, no more")
    only.add_argument("--show-authorized-keys", action="store_true", help="make the keys and "
                      "print their lines of authorized_keys, no more; the server is not asked")
    return parser


def _work(session: Session, options: Namespace) -> None:
    if options.directory != "none" and len(options.qubes) > 1:
        get_parser().error("argument --import: it takes exactly one qube")
    by_client = options.keys == "client"
    if by_client and (options.no_escrow or options.directory != "none"):
        get_parser().error("argument --keys client: not with --import, which takes keys of "
                           "elsewhere, and not with --no-escrow, as nobody else would have them")
    asked = Asked(options.quota, options.directory, by_client)
    if options.show_authorized_keys:
        with redirect_stdout(sys.stderr):  # what is said meanwhile is none of the lines
            lines = key_lines(session, options.qubes, asked)
        for line in lines:
            session.report.say(line)
        return
    keeper = None if options.no_escrow else vault.required(session.system)
    enroll(session, options.qubes, options.dry_run, asked, keeper)


main = tools.command(get_parser, _work)
