"""qvm-borg-revoke: what it does with its arguments; these and its help are data, revoke.toml.

Runs in dom0.
"""

from argparse import Namespace

from qborg_wire.names import Repository
from qvm_borg import tools
from qvm_borg.revoke import revoke
from qvm_borg.session import Session
from qvm_borg.telling import refusal, text
from qvm_borg.tools import terminal

_QUARANTINE = {None: "keep", True: "yes", False: "no"}


def _typed(repository: Repository, server: str) -> None:
    """Have the person type the repository's name; raises NotConfirmed."""
    question = text("deletion-is-for-ever", path=repository.path, server=server,
                    repository=repository)
    if terminal.typed(question) != str(repository):
        raise refusal("deletion-unconfirmed", repository=repository)


def _work(session: Session, options: Namespace) -> None:
    revoke(session, options.name, None if options.yes else _typed,
           _QUARANTINE[options.quarantine], options.delete_repository)


main = tools.command("revoke", _work)
