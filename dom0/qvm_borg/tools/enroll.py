"""qvm-borg-enroll: what it does with its arguments; these and its help are data, enroll.toml.

Runs in dom0.
"""

from argparse import Namespace

from qvm_borg import tools, vault
from qvm_borg.enroll import enroll, key_lines
from qvm_borg.enrolment import Asked
from qvm_borg.session import Session


def _work(session: Session, options: Namespace) -> None:
    if len(options.qubes) > 1 and (options.directory != "none" or options.continues):
        tools.Parser("enroll").error("arguments --import, --continue: they take exactly one qube")
    former = options.continues and session.repository(options.continues)
    asked = Asked(options.quota, options.directory, options.keys == "client", continues=former,
                  encryption=options.encryption or "", jobs=options.jobs, memory=options.memory)
    if options.show_authorized_keys:
        with tools.apart(True):  # what is said meanwhile is none of the lines
            lines = key_lines(session, options.qubes, asked)
        for line in lines:
            session.report.show(line)
        return
    keeper = None if options.no_escrow else vault.required(session.system)
    enroll(session, options.qubes, options.dry_run, asked, keeper)


main = tools.command("enroll", _work)
