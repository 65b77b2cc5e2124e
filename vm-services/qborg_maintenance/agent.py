"""An ssh-agent of our own, for an admin key that has a passphrase: it is typed once per start.

Runs in the maintenance qube. The agent holds that one key and nothing else, so a login through it
proves the admin key (ADR 3). Its directory lies in /tmp, which does not outlive the qube.
"""

import os
import stat
import time
from pathlib import Path

import pexpect

from qborg_maintenance import admin_key, ask
from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

NO_AGENT = "none"
_AGENT, _ADD = "/usr/bin/ssh-agent", "/usr/bin/ssh-add"
_PROMPT = rb"Enter passphrase for [^\r\n]*: "
_WRONG = rb"Bad passphrase"
_SECONDS = 30
_TITLE = "qubes-borg: the passphrase of the backup server's admin key"


def socket() -> Path:
    """Answer where our agent listens."""
    return Path(f"/tmp/qborg-agent-{os.getuid()}/socket")


def required_by(private: Path, asks: bool = True) -> str:
    """Answer the IdentityAgent for a key: `none`, or our agent's socket once it holds the key.

    A locked key is asked for in a window where there is one, if `asks`: not for what no person
    waits for. Else raises admin-key-locked.
    """
    found = admin_key.outline(private)
    if not found.encrypted:
        return NO_AGENT
    if not _holds(found.public_key):
        passphrase = ask.window(_TITLE, timeout=60) if asks else None
        if passphrase is None:
            raise ServiceFailure("admin-key-locked", "its passphrase was not typed since the start")
        unlock(private, passphrase)
    return str(socket())


def unlock(private: Path, passphrase: Secret) -> None:
    """Have our agent hold the key; raises admin-key-locked for a wrong passphrase."""
    if _list() is None:
        _start()
    child = pexpect.spawn(
        _ADD, ["-q", "--", str(private)], env=_environment(), echo=False, timeout=_SECONDS
    )
    child.delaybeforesend = None
    try:
        if child.expect([_PROMPT, pexpect.EOF, pexpect.TIMEOUT]) == 0:
            child.sendline(passphrase.reveal())
            child.expect([_WRONG, pexpect.EOF, pexpect.TIMEOUT])
    finally:
        child.close(force=True)
    if not _holds(admin_key.outline(private).public_key):
        raise ServiceFailure("admin-key-locked", "that is not its passphrase")


def _holds(public_key: str) -> bool:
    listed = _list() or b""
    return public_key.split(" ")[1].encode("ascii") in listed.split()


def _list() -> bytes | None:
    """Answer the public keys that our agent holds, None if none of ours is alive."""
    if not _is_private(socket().parent):
        return None
    try:
        finished = process.run(
            [_ADD, "-L"], stdin=None, env=_environment(), timeout=_SECONDS, limit=65536
        )
    except process.ProcessError:
        return None
    return finished.stdout if finished.code in (0, 1) else None


def _start() -> None:
    place = socket()
    place.parent.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(place.parent):
        raise ServiceFailure("admin-key-locked", f"{place.parent} is not ours alone")
    place.unlink(missing_ok=True)  # of an agent that is not alive
    # It outlives this service; a daemon that forks by itself could be killed with its group.
    nothing = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
    os.posix_spawn(
        _AGENT, [_AGENT, "-D", "-a", str(place)], _environment(), file_actions=nothing, setsid=True
    )
    deadline = time.monotonic() + _SECONDS
    while _list() is None:
        if time.monotonic() > deadline:
            raise ServiceFailure("admin-key-locked", "ssh-agent does not start")
        time.sleep(0.1)


def _is_private(folder: Path) -> bool:
    """Tell whether a directory is there, is no link, is ours and closed to everybody else."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return False
    closed = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    return closed and found.st_uid == os.getuid()


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "SSH_AUTH_SOCK": str(socket())}
