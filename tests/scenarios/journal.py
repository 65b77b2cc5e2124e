"""What a machine's programs say to syslog, kept as journald does: no machine of the lab has one."""

import time

from lab import Lab
from lab.running import RunningProcess

FILE = "/run/journal"
_JOURNALD = f"""
import os, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal, open("{FILE}", "wb") as kept:
    journal.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    while True:
        os.write(kept.fileno(), journal.recv(4096) + b"\\n")
"""


def listens(lab: Lab, qube: str) -> RunningProcess:
    """Have something listen in a running qube; it ends with what is answered, or the qube."""
    journal = lab.popen(qube, ["python3", "-c", _JOURNALD], user="root", input=False)
    deadline = time.monotonic() + 300
    while lab.exec(qube, ["test", "-w", "/dev/log"]).returncode != 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return journal


def kept(lab: Lab, qube: str) -> bytes:
    """Answer all that was heard in a qube since it listens."""
    return lab.exec(qube, ["cat", FILE], user="root", check=True).stdout
