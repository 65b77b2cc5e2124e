"""The account on the server: logins, one living session, and the files in it.

Runs in the maintenance qube with the admin key. The account may have a restricted shell, sftp
alone, or neither (provider.py); which of them is recorded at the set-up and not guessed anew.
"""

import contextlib
import os
import resource
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qborg_maintenance import agent, ssh_config
from qborg_maintenance.connection import (
    ENVIRONMENT,
    NOT_OFFERED,
    SSH,
    SSH_FAILED,
    Connection,
    no_session,
)
from qborg_maintenance.files import Files, SftpFiles, ShellFiles
from qborg_maintenance.provider import BORG, SFTP
from qborg_maintenance.settings import Settings
from qborg_service import process
from qborg_service.failure import ServiceFailure

_SECONDS = 60.0  # until the far end of a living session has answered
_TALK_LIMIT = 65536  # bytes of stderr beside the living session
GREETING = b"qubes-borg\n"
# sftp's first words, version 3, and what a server of that version answers after a length.
_INIT, _VERSION, _LENGTH = b"\0\0\0\x05\x01\0\0\0\x03", b"\x02\0\0\0\x03", 4


@dataclass(frozen=True)
class Server(Connection):
    """The account and what it offers: `access` is shell, sftp or borg."""

    access: str

    def apart(self) -> "Server":
        """Answer the same account over logins of their own: each proves the server's keys."""
        return Server(self.config, None, self.access)

    @property
    def files(self) -> Files:
        """The account's files, by what it offers."""
        return SftpFiles(self) if self.access == SFTP else ShellFiles(self)


def try_login(server: Server) -> bool:
    """Tell whether the admin key is accepted; raises ServiceFailure for anything else."""
    try:
        server.apart().run("ls", "-d", ".ssh")
    except ServiceFailure as failure:
        if failure.cause == "login-refused":
            return False
        raise
    return True


@contextmanager
def configured(settings: Settings, admin_key: Path, asks: bool = True) -> Iterator[Server]:
    """Lend the account without a living session yet; the configuration goes at the end.

    Raises admin-key-locked if the key has a passphrase that nobody has typed or, if that `asks`
    for it, types now.
    """
    holder = agent.required_by(admin_key, asks)
    with ssh_config.written(ssh_config.ADMIN, settings, admin_key, holder) as private:
        yield Server(private / "ssh_config", private / "session", settings.access)


@contextmanager
def living_session(server: Server) -> Iterator[int]:
    """Hold one authenticated connection that `run` uses; answers the descriptor that holds it.

    It lasts as long as any process keeps that descriptor: the far end ends with its input, so
    a killed service leaves no connection behind. Raises access-changed if the account does not
    offer what it was recorded with, server-unreachable if it takes the login and is silent then.
    """
    if server.access == BORG:
        raise ServiceFailure("access-changed", "the account serves borg and nothing else")
    far = ["-s", ssh_config.ADMIN, "sftp"] if server.access == SFTP else [ssh_config.ADMIN, "cat"]
    argv = [SSH, "-F", str(server.config), "-M", "-S", str(server.socket), *far]
    with tempfile.TemporaryFile() as errors:
        master = subprocess.Popen(
            argv, env=ENVIRONMENT, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0,
        )
        assert master.stdin is not None and master.stdout is not None
        # The server may talk there for as long as the session lasts: a full file ends ssh, and
        # the core that the kernel would write holds the admin key.
        for kind, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _TALK_LIMIT)):
            resource.prlimit(master.pid, kind, (limit, limit))
        try:
            if not _greeted(server.access, master.stdin, master.stdout):
                code = _code(master)
                errors.seek(0)
                raise _no_session(code, errors.read(8192))
            yield master.stdin.fileno()
        finally:
            process.kill_group(master)
            with contextlib.suppress(BrokenPipeError):
                master.stdin.close()
            master.stdout.close()
            master.wait()


def _greeted(access: str, say: IO[bytes], hear: IO[bytes]) -> bool:
    """Tell whether the far end answers as it should, or ends.

    Raises connection-failed for other words, server-unreachable for none.
    """
    with contextlib.suppress(BrokenPipeError):
        say.write(_INIT if access == SFTP else GREETING)
        say.flush()
    skipped, wanted = (_LENGTH, _VERSION) if access == SFTP else (0, GREETING)
    heard, end = b"", time.monotonic() + _SECONDS
    while wanted.startswith(heard[skipped:]) and len(heard) < skipped + len(wanted):
        if not select.select([hear], [], [], max(0.0, end - time.monotonic()))[0]:
            raise _silent()
        chunk = os.read(hear.fileno(), skipped + len(wanted) - len(heard))
        if not chunk:
            return False
        heard += chunk
    if heard[skipped:] != wanted:
        raise ServiceFailure("connection-failed", "it prints words at login; silence it")
    return True


def _code(master: subprocess.Popen[bytes]) -> int:
    """Answer the exit code of an ssh whose far end has said its last word."""
    try:
        return master.wait(_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _silent() from error


def _silent() -> ServiceFailure:
    return ServiceFailure("server-unreachable", "the server stopped answering")


def _no_session(code: int, untrusted_stderr: bytes) -> ServiceFailure:
    if code != SSH_FAILED or NOT_OFFERED.search(untrusted_stderr):
        return ServiceFailure("access-changed", "the account no longer runs what the set-up found")
    return no_session(untrusted_stderr)
