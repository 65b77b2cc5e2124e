"""Whether the server takes a key whose private half is elsewhere: it is offered, never used.

Runs in the maintenance qube. A server tells that it would accept a public key before it wants a
signature, so a revoked key is tried as sshd itself sees it, in whichever list of keys it stands.
"""

import re
import tempfile
from pathlib import Path

from qborg_maintenance import ssh_config
from qborg_maintenance.connection import ENVIRONMENT, SSH, no_session
from qborg_maintenance.settings import Settings
from qborg_service import process
from qborg_service.failure import ServiceFailure

_SECONDS = 60.0
_TALK_LIMIT = 65536  # bytes of what ssh tells about the login
_ACCEPTS = re.compile(rb"^debug1: Server accepts key: ", re.MULTILINE)


def is_taken(settings: Settings, public_key: str) -> bool:
    """Tell whether the server would let this key in; raises ServiceFailure if it is not asked."""
    with tempfile.TemporaryDirectory(prefix="qborg-", dir="/tmp") as folder:
        offered = Path(folder) / "offered"
        offered.with_suffix(".pub").write_text(f"{public_key}\n", encoding="ascii")
        with ssh_config.written(ssh_config.CLIENT, settings, offered) as private:
            # It says so at this level only.
            argv = [SSH, "-F", str(private / "ssh_config"), "-o", "LogLevel=DEBUG1", "--",
                    ssh_config.CLIENT, "exit"]  # fmt: skip
            try:
                finished = process.run(
                    argv, stdin=None, env=ENVIRONMENT, timeout=_SECONDS, limit=_TALK_LIMIT)
            except process.ProcessError as error:
                raise ServiceFailure("server-unreachable", str(error)) from error
    return told(finished)


def told(finished: process.Finished) -> bool:
    """Answer what an offer came to; raises ServiceFailure where the key was not asked for."""
    if finished.code == 0 or _ACCEPTS.search(finished.stderr):
        return True
    failure = no_session(finished.stderr)
    if failure.cause != "login-refused":
        raise failure
    return False
