"""Give an enrolled qube other secrets: a new ssh key, a new passphrase, or both.

Runs in dom0, as your ordinary user. They are made in the qube itself and go to the vault alone. The
new ones are published, proved in a worker and noted; then the former ones are revoked. Stopped
anywhere, one of the two opens the repository, and the next run goes on. A new passphrase encrypts
nothing anew: who has the repository's key by the former one, reads all that is in it. Against
that, revoke the qube and enrol it under a new repository. Print the recovery kit anew afterwards.

examples:
  qvm-borg-rotate work                both
  qvm-borg-rotate work --ssh-key      the key that the server lets in, no other
"""

from argparse import Namespace

from qvm_borg import client_keys, rotation, tools
from qvm_borg.session import Session


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-rotate", __doc__)
    parser.add_argument("qubes", metavar="QUBE", nargs="+", help="enrolled qubes")
    parser.add_argument("--ssh-key", action="store_true", help="its key pair for the server")
    parser.add_argument("--passphrase", action="store_true", help="what opens its repository")
    return parser


def _work(session: Session, options: Namespace) -> None:
    asked = dict(zip(client_keys.SECRETS, (options.ssh_key, options.passphrase), strict=True))
    wanted = [name for name in asked if asked[name]] or [*asked]
    rotation.rotate(session, options.qubes, wanted)


main = tools.command(get_parser, _work)
