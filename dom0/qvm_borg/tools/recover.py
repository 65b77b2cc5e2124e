"""Prepare for the day on which the computer is gone: print the kit that opens every backup.

Runs in dom0, as your ordinary user. The kit is made in the vault and stays there: dom0 learns its
name. It has the account, the passphrases and keys, and the steps with plain borg and ssh.

examples:
  qvm-borg-recover --print-kit work personal    these, and the account
  qvm-borg-recover --print-kit --all            all that the vault has, deleted qubes too
"""

from argparse import Namespace

from qvm_borg import tools, vault
from qvm_borg.errors import EscrowMissing
from qvm_borg.qubes import running
from qvm_borg.session import Session

_FOLDER = "qubes-borg-kit"  # in the vault's home


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-recover", __doc__)
    parser.add_argument("--print-kit", action="store_true", required=True,
                        help="make the printable kit, in the vault")
    parser.add_argument("qubes", metavar="QUBE", nargs="*", help="enrolled qubes")
    parser.add_argument("--all", action="store_true", help="every repository of the vault")
    return parser


def _work(session: Session, options: Namespace) -> None:
    if bool(options.qubes) == options.all:
        get_parser().error("name some qubes, or --all")
    keeper = vault.required(session.system)
    wanted = [str(session.enrolled(name)[1].repository) for name in options.qubes]
    with running(keeper, session.report.say):
        printed = session.call(keeper, "PrintKit", {"repositories": wanted})
    if printed["repositories"] == "0":
        raise EscrowMissing(f"{keeper} has the account's record and no other",
                            "`qvm-borg-enroll NAME` brings more")
    path = f"{_FOLDER}/{printed['name']}"
    session.report.say(f"the kit of {printed['repositories']} repositories is in {keeper}: "
                       f"~/{path}.html, and as text ~/{path}.txt")
    session.report.say(f"print it from there: `qvm-run {keeper} xdg-open {path}.html`; "
                       "whoever holds the paper reads every backup that stands on it")


main = tools.command(get_parser, _work)
