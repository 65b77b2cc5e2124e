"""Print the kit that opens every backup when the computer is gone; or put a changed key back.

Runs in dom0, as your ordinary user. The kit is made in the vault and stays there: dom0 learns its
name. It has the account, the passphrases and keys, and the steps with plain borg and ssh.

examples:
  qvm-borg-recover --print-kit work personal    these, and the account
  qvm-borg-recover --print-kit --all            all that the vault has, deleted qubes too
  qvm-borg-recover --repair-key work            the vault's key back into work's repository
"""

from argparse import Namespace
from collections.abc import Sequence

from qvm_borg import repository_keys, tools, vault
from qvm_borg.errors import EscrowMissing
from qvm_borg.qubes import running
from qvm_borg.session import Session

_FOLDER = "qubes-borg-kit"  # in the vault's home


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-recover", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--print-kit", action="store_true",
                      help="make the printable kit, in the vault")
    what.add_argument("--repair-key", action="store_true", help="put the key that was escrowed "
                      "back into the repository, where somebody changed or removed it")
    parser.add_argument("qubes", metavar="QUBE", nargs="*", help="enrolled qubes")
    parser.add_argument("--all", action="store_true", help="every repository of the vault")
    return parser


def _work(session: Session, options: Namespace) -> None:
    if bool(options.qubes) == options.all:
        get_parser().error("name some qubes, or --all")
    if not options.repair_key:
        _print_kit(session, options.qubes)
    elif len(options.qubes) != 1:
        get_parser().error("argument --repair-key: it takes exactly one qube")
    else:
        repository_keys.repair(session, options.qubes[0])


def _print_kit(session: Session, names: Sequence[str]) -> None:
    keeper = vault.required(session.system)
    wanted = [str(session.enrolled(name)[1].repository) for name in names]
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
