"""Have what opens the backups again where a qube, or this computer, is lost.

Runs in dom0, as your ordinary user. The vault has a record of the account and one of each qube.
Of the account's a new maintenance qube is made, also on a new computer, where `qborg-vault-import`
has brought a database or a typed kit into the vault. A kit is made of all of them, to print and to
type back; print it anew after each enrolment. A key that somebody changed in a repository is put
back, in a worker. dom0 sees no secret.

examples:
  qvm-borg-recover --account              the maintenance qube is gone
  qvm-borg-recover --account --vault vault    on a new computer; asks whether the host key is right
  qvm-borg-recover --accept-record work   after a typed kit: if it opens work's repository
  qvm-borg-recover --print-kit work personal
  qvm-borg-recover --print-kit --all      with all that the vault keeps of this computer
  qvm-borg-recover --repair-key work      the vault's key back into work's repository
"""

from argparse import Namespace

from qvm_borg import check, kit, recovery, repository_keys, tools
from qvm_borg.session import Session
from qvm_borg.tools import setup


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-recover", __doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    add = action.add_argument
    add("--account", action="store_true", help="make a maintenance qube of the vault's record")
    add("--accept-record", metavar="QUBE",
        help="take the vault's record of it for the good one, if it opens its repository")
    add("--print-kit", action="store_true", help="make a printable recovery kit in the vault")
    add("--repair-key", metavar="QUBE",
        help="put the escrowed key back, where somebody changed or removed the repository's")
    parser.add_argument("qubes", metavar="QUBE", nargs="*", help="enrolled qubes, for a kit")
    parser.add_argument("--all", action="store_true", help="every qube, also those that are gone")
    setup.add_options(parser.add_argument_group("with --account").add_argument)
    parser.set_defaults(password=None, wait=None)
    return parser


def _work(session: Session, options: Namespace) -> None:
    if bool(options.qubes) + options.all != options.print_kit:
        get_parser().error("name some qubes, or --all, with --print-kit and nothing else")
    if options.account:
        recovery.recover(session, options, setup.person())
    elif options.print_kit:
        kit.print_kit(session, options.qubes)
    elif options.accept_record is not None:
        check.check(session, [options.accept_record], [], accept=True)
    else:
        repository_keys.repair(session, options.repair_key)


main = tools.command(get_parser, _work)
