"""What the account offers: which borg, whether it can be written, what already lies there.

Runs in the maintenance qube over a living session. Each question is one command; the answers
are untrusted and only compared or matched whole.
"""

import os
import re
from collections.abc import Sequence

from qborg_maintenance.server import Server, refusal
from qborg_service.failure import ServiceFailure

NAMES = ("borg14", "borg12", "borg-1.4", "borg-1.2", "borg1", "borg")
_VERSION = re.compile(rb"[A-Za-z0-9._-]{1,32} (1\.[0-9]{1,4}(?:\.[0-9]{1,4})?[0-9a-z.+-]{0,20})\n?")
_OLDEST = (1, 2)
_PROBE = ".qborg-probe"
_PROBE_BYTES = 1 << 20


def borg(server: Server, wanted: str) -> tuple[str, str]:
    """Answer the name and version of the server's borg; raises borg-missing.

    `wanted` is the one name to try, or `probe`. Only 1.2 and 1.4 and what follows them in
    major version 1 will do.
    """
    for name in NAMES if wanted == "probe" else (wanted,):
        finished = server.run(name, "--version")
        version = parse_version(finished.stdout) if finished.code == 0 else None
        if version is not None:
            return name, version
    tried = "under its usual names" if wanted == "probe" else f"as {wanted}"
    raise ServiceFailure("borg-missing", f"the server has no borg 1.2 or 1.4 {tried}")


def parse_version(untrusted_output: bytes) -> str | None:
    """Answer the version in `borg --version`'s output if we can work with it, else None."""
    match = _VERSION.fullmatch(untrusted_output)
    if match is None:
        return None
    version = match[1].decode("ascii")
    major, minor = re.findall("[0-9]+", version)[:2]
    return version if (int(major), int(minor)) >= _OLDEST else None


def check_writable(server: Server) -> None:
    """Write 1 MiB and remove it; raises server-full, or publish-refused if it is not space."""
    # Random bytes: a server that compresses would otherwise take them for nothing.
    finished = server.run("dd", f"of={_PROBE}", stdin=os.urandom(_PROBE_BYTES))
    server.run("rm", "-f", _PROBE)
    if finished.code != 0:
        raise refusal(finished, "nothing can be written in the account")


def existing(server: Server, repositories: Sequence[str]) -> tuple[str, ...]:
    """Answer which of these repositories have a directory on the server."""
    finished = server.run("ls", "repos")
    there = set(finished.stdout.split(b"\n")) if finished.code == 0 else set()
    return tuple(name for name in repositories if name.encode("ascii") in there)
