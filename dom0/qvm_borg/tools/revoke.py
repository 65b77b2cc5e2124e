"""Revoke a qube's key: nothing is backed up with it any more, and the qube is as before.

Runs in dom0, as your ordinary user, also when the qube is gone. The repository with all its
archives is kept, and so is what opens it. Run it again at any time: it goes on where it stopped.

examples:
  qvm-borg-revoke work                        its key, its bundle, its schedule
  qvm-borg-revoke laptop-work                 the same by its repository, the qube being gone
  qvm-borg-revoke work --quarantine           and nothing may be deleted from the repository
  qvm-borg-revoke work --delete-repository    and the archives, once you have typed its name
"""

import sys
from argparse import BooleanOptionalAction, Namespace

from qborg_wire.names import NameRefused, Repository, parse_qube, parse_repository
from qvm_borg import tools
from qvm_borg.errors import NotConfirmed
from qvm_borg.revoke import Asked, revoke
from qvm_borg.session import Session

_QUARANTINE = {None: "keep", True: "yes", False: "no"}


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-revoke", __doc__)
    parser.add_argument("name", metavar="QUBE|REPOSITORY", type=tools.argument(_name),
                        help="an enrolled qube, or its repository as MACHINE-QUBE")
    parser.add_argument("--quarantine", action=BooleanOptionalAction,
                        help="keep the repository from being deleted; or no longer")
    parser.add_argument("--delete-repository", action="store_true",
                        help="delete the repository on the server, with all its archives")
    parser.add_argument("--yes", action="store_true",
                        help="delete it without asking for its name")
    return parser


def _name(untrusted_text: str) -> str:
    try:
        return parse_qube(untrusted_text)
    except NameRefused:
        return str(parse_repository(untrusted_text))


def _typed(repository: Repository, server: str) -> None:
    """Have the person type the repository's name; raises NotConfirmed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotConfirmed(f"{repository} was not confirmed to be deleted")
    try:
        text = input(f"{repository.path} on {server} is deleted with all its archives, for ever.\n"
                     f"Type {repository} to go on: ")
    except EOFError:
        text = ""
    if text.strip() != str(repository):
        raise NotConfirmed(f"{repository} was not confirmed to be deleted")


def _work(session: Session, options: Namespace) -> None:
    if options.delete_repository and options.quarantine:
        get_parser().error("argument --quarantine: not together with --delete-repository")
    if options.yes and not options.delete_repository:
        get_parser().error("argument --yes: only with --delete-repository")
    asked = Asked(_QUARANTINE[options.quarantine], options.delete_repository)
    revoke(session, options.name, asked, (lambda _repository, _server: None) if options.yes
           else _typed)


main = tools.command(get_parser, _work)
