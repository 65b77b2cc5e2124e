"""qvm-borg-backup: what it does with its arguments; these and its help are data, backup.toml.

Runs in dom0.
"""

from argparse import Namespace

from qvm_borg import tools
from qvm_borg.backups import Backups
from qvm_borg.errors import NotEnrolled
from qvm_borg.session import Session


def _work(session: Session, options: Namespace) -> None:
    run = Backups(session, options.memory)
    with tools.listed(options.json, run.results):
        wanted = options.qubes or run.chosen(options.due)
        if not wanted and options.due:
            session.tell("nothing-due")
        elif not wanted:
            raise NotEnrolled("no qube is enrolled")
        try:
            run.run(wanted, options.jobs)
        finally:
            for result in run.results * (len(run.results) > 1):
                session.report.say(str(result))
            if run.visits.left[1:]:
                session.tell("stay-on", qubes=" ".join(run.visits.left))


main = tools.command("backup", _work)
