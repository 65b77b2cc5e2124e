"""Set up encrypted off-site backups: the maintenance qube, the server, the admin key.

Runs in dom0, as your ordinary user, once for each machine. It makes a qube that holds the admin
key, shows the server's host key for you to compare, and has the key installed on the server: by
the account's password, which you type in that qube, or by a line that you add there yourself.
Run it again at any time: it goes on where it stopped.

examples:
  qvm-borg-setup --server zh1234@zh1234.rsync.net
  qvm-borg-setup --server backup@nas.example:2222 --machine laptop --template debian-13
  qvm-borg-setup --vault vault     go on, and let the qube `vault` keep the recovery records
  qvm-borg-setup --password        go on, and log in once by the account's password
  qvm-borg-setup --wait 600        go on, and wait ten minutes for the line at the server
"""

import sys
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Callable
from functools import partial

from qborg_wire import names
from qvm_borg import tools
from qvm_borg.session import Session
from qvm_borg.settings import PATTERNS
from qvm_borg.setup import Ask, setup
from qvm_borg.tools import argument

_LABELS = ("red", "orange", "yellow", "green", "gray", "blue", "purple", "black")

def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-setup", __doc__)
    add = parser.add_argument
    add("--maintenance", metavar="NAME", type=argument(names.parse_qube),
        help="the qube to make (borg-maintenance)")
    add_options(add)
    add("--server", metavar="ACCOUNT@HOST[:PORT]", type=argument(_server),
        help="where the backups go; the first run needs it")
    add("--remote-borg", metavar="NAME", help="borg's name on the server (the best found)",
        type=argument(partial(names.parse, *PATTERNS["remote_borg"])))
    add("--password", action=BooleanOptionalAction,
        help="log in once by a password, typed in that qube; or never (asks at a terminal)")
    add("--wait", metavar="SECONDS", type=int, help="how long to wait for the line at the server")
    return parser


def add_options(add: Callable[..., object]) -> None:
    """Add what a recovery of the account takes as well; `add` is a parser's add_argument."""
    qube = argument(names.parse_qube)
    add("--template", metavar="NAME", type=qube, help="its template (the default template)")
    add("--netvm", metavar="NAME", type=qube, help="its netvm (the default netvm)")
    add("--label", metavar="COLOUR", choices=_LABELS, help="its label (gray)")
    add("--vault", metavar="NAME", type=qube, help="a qube of yours without network, to keep the "
        "recovery records: what brings everything back when all else is lost")
    add("--machine", metavar="NAME", type=argument(partial(names.parse, *PATTERNS["machine"])),
        help="this computer in the names of repositories: a-z, 0-9 (qubes)")
    add("--fingerprint", metavar="SHA256:...", help="the server's host key, from your provider",
        type=argument(partial(names.parse, names.FINGERPRINT, 50)))


def _server(text: str) -> tuple[str, ...]:
    account, _at, place = text.rpartition("@")
    host, _colon, port = place.partition(":")
    parts = {"account": account, "host": host, "port": port or "22"}
    return tuple(names.parse(*PATTERNS[key], part) for key, part in parts.items())


def person() -> Ask:
    """Answer what puts a question to the person at the terminal; None if there is none."""
    return _ask if sys.stdin.isatty() and sys.stdout.isatty() else None


def _ask(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _work(session: Session, options: Namespace) -> None:
    setup(session, options, person())


main = tools.command(get_parser, _work)
