"""Have what opens the backups again where a qube, or this computer, is lost.

Runs in dom0, as your ordinary user. The kit is made in the vault out of its records: the account,
and for each repository the passphrase and the key, as a page to print and to type back, with the
steps for any Linux. dom0 sees nothing of it. Print it anew after each enrolment. A key that
somebody changed in a repository is put back out of the vault, in a worker.

examples:
  qvm-borg-recover --print-kit work personal
  qvm-borg-recover --print-kit --all      with all that the vault keeps of this computer
  qvm-borg-recover --repair-key work      the vault's key back into work's repository
"""

from argparse import Namespace

from qvm_borg import kit, repository_keys, tools
from qvm_borg.session import Session


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-recover", __doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--print-kit", action="store_true",
                        help="make a printable recovery kit in the vault")
    action.add_argument("--repair-key", action="store_true", help="put the key that was escrowed "
                        "back into the repository, where somebody changed or removed it")
    parser.add_argument("qubes", metavar="QUBE", nargs="*", help="enrolled qubes")
    parser.add_argument("--all", action="store_true", help="every qube, also those that are gone")
    return parser


def _work(session: Session, options: Namespace) -> None:
    if bool(options.qubes) == options.all:
        get_parser().error("name some qubes, or --all")
    if not options.repair_key:
        kit.print_kit(session, options.qubes)
    elif len(options.qubes) != 1:
        get_parser().error("argument --repair-key: it takes exactly one qube")
    else:
        repository_keys.repair(session, options.qubes[0])


main = tools.command(get_parser, _work)
