"""qvm-borg-status: what it does with its arguments; these and its help are data, status.toml.

Runs in dom0.
"""

import json
import shutil
import time
from argparse import Namespace

from qborg_wire.row import Role
from qvm_borg import evidence, gate, resync, status, table, tools
from qvm_borg.errors import InTrouble, QvmBorgError
from qvm_borg.session import Session


def _work(session: Session, options: Namespace) -> None:
    if options.resync:
        resync.resync(session, options.qubes)
        return
    found = [session.known(name) for name in options.qubes] or session.records()
    others = [] if options.qubes else status.unenrolled(session.system)
    wrong = [status.trouble("unread", name=name) for name in session.unread() if not options.qubes]
    for role in (Role.MAINTENANCE, Role.VAULT):
        try:
            session.system.role(role)
        except QvmBorgError as error:
            wrong.append(status.Trouble("gone", error.message, error.hint))
    with tools.apart(options.json):  # -v tells each call
        claims, shown = evidence.look(session, found)
    wrong += [status.trouble("stale-gate", file=gate.NAME)] * gate.is_stale(session.gates)
    if isinstance(shown, QvmBorgError):
        wrong.append(status.Trouble("unobserved", shown.message, shown.hint))
        shown = {}
    rows = status.rows(found, claims, shown or {}, int(time.time()))
    needy = [row for row in rows if row.needs_you]
    if options.json:
        print(json.dumps({"troubles": wrong, "unenrolled": others, "qubes": rows}, indent=2,
                         default=vars), flush=True)
    else:
        width = shutil.get_terminal_size((200, 24)).columns  # as wide where there is no terminal
        for line, colour in (*table.troubles(wrong, width),
                             *table.lines(needy if options.quiet else rows, width)):
            session.report.show(line, colour)
        if not (rows or wrong):
            session.tell("none-enrolled")
        elif rows and shown is None and not any(each.name == "gone" for each in wrong):
            session.tell("server-not-asked")
        if others:
            session.tell("others-unenrolled", count=len(others))
            session.report.detail(" ".join(others))
    if needy or wrong:
        raise InTrouble(f"{len(needy)} of {len(rows)} qubes need you: "
                        + " ".join(row.qube for row in needy) if needy else wrong[0].what)


main = tools.command("status", _work)
