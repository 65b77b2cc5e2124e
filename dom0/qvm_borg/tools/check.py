"""qvm-borg-check: what it does with its arguments; these and its help are data, check.toml.

Runs in dom0.
"""

from argparse import Namespace

from qvm_borg import check, repository_keys, tools
from qvm_borg.errors import NotEnrolled
from qvm_borg.session import Session


def _work(session: Session, options: Namespace) -> None:
    if not (wanted := [*session.originals(), *session.unread()] if options.all else options.qubes):
        raise NotEnrolled("no qube is enrolled")
    if options.keys:
        repository_keys.compare(session, wanted)
        return
    found: list[check.Checked] = []
    with tools.listed(options.json, found):
        check.check(session, wanted, found)


main = tools.command("check", _work)
