"""Restore files of an enrolled qube into a directory of that same qube.

Runs in dom0, as your ordinary user; the qube itself does the work, and nothing that is there is
overwritten. A halted qube is started for it and shut down afterwards.

examples:
  qvm-borg-restore work /home/user/Documents --to-directory /home/user/restored
  qvm-borg-restore work /rw/config --to-directory /home/user/old --archive work-2026-01-31T10:17:00
"""

from argparse import Namespace
from functools import partial

from qborg_wire import names
from qborg_wire.services import SERVICES
from qvm_borg import tools
from qvm_borg.qubes import running
from qvm_borg.report import size
from qvm_borg.session import Session


def get_parser() -> tools.Parser:
    """Answer the command's parser; the manual page is checked against it."""
    parser = tools.Parser("qvm-borg-restore", __doc__)
    is_a = {row.name: tools.argument(partial(names.parse, row.pattern, row.limit))
            for row in SERVICES["RestoreFiles"].request}
    parser.add_argument("qube", metavar="QUBE", help="an enrolled qube")
    parser.add_argument("paths", metavar="PATH", nargs="+", type=is_a["paths"],
                        help="as they are in the qube")
    parser.add_argument("--to-directory", metavar="DIR", required=True, type=is_a["directory"],
                        help="an absolute path in the qube; made if it is not there")
    parser.add_argument("--archive", metavar="NAME", default="latest", type=is_a["archive"],
                        help="an archive as `borgbak list` shows it (the latest)")
    return parser


def _work(session: Session, options: Namespace) -> None:
    qube, found = session.enrolled(options.qube)
    values = {"archive": options.archive, "paths": options.paths,
              "directory": options.to_directory}
    with running(qube, session.report.say):
        reply = session.call(qube, "RestoreFiles", values, found.repository)
    session.report.say(f"{qube}: {reply['files']} files, {size(int(reply['bytes']))} of "
                       f"{reply['archive']} are in {options.to_directory}")


main = tools.command(get_parser, _work)
