"""qvm-borg-recover: what it does with its arguments; these and its help are data, recover.toml.

Runs in dom0.
"""

from argparse import Namespace

from qvm_borg import check, kit, lost_qube, recovery, repository_keys, tools
from qvm_borg.session import Session
from qvm_borg.tools import setup


def _work(session: Session, options: Namespace) -> None:
    if options.account:
        recovery.recover(session, options, setup.person())
    elif options.print_kit:
        kit.print_kit(session, options.qubes)
    elif options.qubes:
        lost_qube.recover(session, options.qubes, options, setup.person())
    elif options.accept_record is not None:
        check.check(session, [options.accept_record], [], accept=True)
    else:
        repository_keys.repair(session, options.repair_key)


main = tools.command("recover", _work)
