"""qvm-borg-rotate: what it does with its arguments; these and its help are data, rotate.toml.

Runs in dom0.
"""

from argparse import Namespace

from qvm_borg import client_keys, rotation, tools
from qvm_borg.session import Session


def _work(session: Session, options: Namespace) -> None:
    if len(options.qubes) > 1 and options.new_repository:
        tools.Parser("rotate").error("argument --new-repository: it takes exactly one qube")
    asked = dict(zip(client_keys.SECRETS, (options.ssh_key, options.passphrase), strict=True))
    wanted = [name for name in asked if asked[name]] or [*asked]
    rotation.rotate(session, wanted, options)


main = tools.command("rotate", _work)
