"""borgbak: borg with this qube's repository, key and passphrase already said.

Runs in clients. It becomes borg: what it reads and imports before that is all that it costs.
"""

import os
import pwd
import sys
from collections.abc import Sequence

from qborg_client import borg_line, borg_start
from qborg_client.borg_commands import TABLE


def main(args: Sequence[str] | None = None) -> int:
    """Become borg; answer 1 only if that is not possible, 2 if nothing was asked."""
    arguments = list(sys.argv[1:] if args is None else args)
    if not arguments or arguments in (["-h"], ["--help"]):
        print(TABLE["help"].strip(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    line = borg_line.read(arguments)
    home = pwd.getpwuid(os.getuid()).pw_dir
    if "place" in line.row and line.row.get("waits", True):
        if borg_start.backup_runs(home):
            print(TABLE["waiting"].format("a backup or restore of this qube"), file=sys.stderr)
        elif borg_start.another_borg(home):
            print(TABLE["waiting"].format("another borg in this qube"), file=sys.stderr)
    careful = borg_line.writes(arguments, line) or borg_line.names_latest(arguments, line)
    reach = None if careful else borg_start.look(home)
    if reach is None:
        from qborg_client.tools import borgbak_checked  # it takes longer than all of this

        return borgbak_checked.main(arguments, line)
    said = borg_line.spell_out(arguments, line, lambda: "")
    try:
        borg_start.become_borg(said, borg_start.environment(os.environ, reach), TABLE["wait"])
    except OSError as error:
        from qborg_client.tools import borgbak_checked

        return borgbak_checked.tell(error)
    return 1
