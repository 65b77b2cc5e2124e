"""What the account offers: its access, which borg, whose key list, what already lies there.

Runs in the maintenance qube. Each question is one command; the answers are untrusted and only
compared or matched whole.
"""

import os
import re
from collections.abc import Sequence

from qborg_maintenance import provider
from qborg_maintenance.connection import refusal
from qborg_maintenance.files import KEYS, ROOT, try_sftp
from qborg_maintenance.provider import Provider
from qborg_maintenance.server import GREETING, Server
from qborg_service.failure import ServiceFailure

_VERSION = re.compile(rb"[A-Za-z0-9._-]{1,32} (1\.[0-9]{1,4}(?:\.[0-9]{1,4})?[0-9a-z.+-]{0,20})\n?")
# What `borg serve` says to an empty input: the answer where an account runs nothing but that.
_SERVES = re.compile(rb"^(Borg 1\.[0-9][^\n:]{0,24}): Got connection close", re.MULTILINE)
_OLDEST = (1, 2)
# Each with the computer's id behind it: another one may look at the same moment.
_PROBE, _MOVED = f"{ROOT}/.qborg-probe-", f"{KEYS}.qborg-probe-"
_PROBE_BYTES = 1 << 20


def access(server: Server) -> str | None:
    """Answer what the account offers (shell, sftp or borg); None if it refuses the login."""
    try:
        finished = server.run("cat", stdin=GREETING)
    except ServiceFailure as failure:
        if failure.cause == "login-refused":
            return None
        raise
    # With other words around it, it is a shell, and the living session tells what is wrong.
    if finished.stdout.endswith(GREETING):
        return provider.SHELL
    return provider.SFTP if try_sftp(server) else provider.BORG


def borg(server: Server, row: Provider, wanted: str) -> tuple[str, str]:
    """Answer the name and version of the server's borg; raises borg-renamed or borg-missing.

    `wanted` is the one name to take, or `probe`. Only 1.2 and 1.4 and what follows them in
    major version 1 will do.
    """
    others = dict.fromkeys((*row.names, *provider.GENERIC.names))
    for name in others if wanted == "probe" else (wanted, *others):
        version = _version(server, name)
        if version is None:
            continue
        if wanted not in ("probe", name):
            raise ServiceFailure("borg-renamed", f"{name} {version} is there, and no {wanted}")
        return name, version
    tried = "under its usual names" if wanted == "probe" else f"as {wanted}"
    raise ServiceFailure("borg-missing", f"the server has no borg 1.2 or 1.4 {tried}")


def _version(server: Server, name: str) -> str | None:
    finished = server.run(name, "--version")
    if finished.code == 0:
        return parse_version(finished.stdout)
    if server.access == provider.SHELL:
        return None
    served = server.run(name, "serve")
    told = _SERVES.search(served.stdout + served.stderr)  # of 1.2 and 1.4 it is stdout
    return parse_version(told[1]) if told else None


def parse_version(untrusted_output: bytes) -> str | None:
    """Answer the version in `borg --version`'s output if we can work with it, else None."""
    match = _VERSION.fullmatch(untrusted_output)
    if match is None:
        return None
    version = match[1].decode("ascii")
    major, minor = re.findall("[0-9]+", version)[:2]
    return version if (int(major), int(minor)) >= _OLDEST else None


def check_writable(server: Server, machine_id: str) -> None:
    """Write 1 MiB and remove it; raises server-full, account-unwritable or publish-refused."""
    # Random bytes: a server that compresses would otherwise take them for nothing.
    path = f"{_PROBE}{machine_id}"
    finished = server.files.put(path, os.urandom(_PROBE_BYTES))
    server.files.remove(path)
    if finished.code != 0:
        raise refusal(finished, f"nothing can be written in {ROOT}", "account-unwritable")


def key_list(server: Server, admin_key: str, machine_id: str) -> str:
    """Answer whether the list of keys is ours to write, or awaited from somebody else.

    It is ours if the file holds the admin key that just logged in, and can be replaced at once:
    else sshd reads another one, or a swap would leave a moment without any.
    """
    listed = server.files.read(KEYS)
    if listed is None or admin_key.split(" ")[1].encode("ascii") not in listed:
        return provider.AWAITED
    path, target = f"{_PROBE}{machine_id}", f"{_MOVED}{machine_id}"
    try:
        for replaces in (False, True):
            server.files.write(path, b"")
            moved = server.files.move(path, target)
            if moved.code != 0 and replaces:
                return provider.AWAITED
            if moved.code != 0:
                raise refusal(moved, "nothing can be moved into .ssh")
    except ServiceFailure as failure:
        if failure.cause != "access-changed":
            raise
        return provider.AWAITED
    finally:
        server.files.remove(path, target)
    return provider.OURS


def snapshots(server: Server, row: Provider) -> str:
    """Answer whether the provider's own snapshots are seen: yes, no, or unknown."""
    if row.snapshots is None:
        return provider.UNKNOWN
    return provider.YES if server.files.names(row.snapshots) is not None else provider.NO


def existing(server: Server, repositories: Sequence[str]) -> tuple[str, ...]:
    """Answer which of these repositories have a directory on the server."""
    there = server.files.names(ROOT) or frozenset()
    return tuple(name for name in repositories if name.encode("ascii") in there)
