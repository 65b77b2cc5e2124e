"""Sessions to the account on the server: one plain command per exec, nothing of a shell.

Runs in the maintenance qube with the admin key. The server's shell may be restricted: no pipe,
no redirection, no `&&`, no `true`. What comes back is untrusted: bounded here, parsed by the
caller.
"""

import contextlib
import re
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qborg_maintenance import agent, ssh_config
from qborg_maintenance.settings import Settings
from qborg_service import process
from qborg_service.failure import ServiceFailure

SSH = "/usr/bin/ssh"
OUTPUT_LIMIT = 262144  # bytes of one command's stdout
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}
_SSH_FAILED = 255
_TALK_LIMIT = 65536  # bytes of stderr beside the living session
_SECONDS = 60.0
_GREETING = b"qubes-borg\n"
# The server's shell splits and interprets what ssh joins: words need no quoting, or are refused.
_WORD = re.compile(r"[A-Za-z0-9_./=,:+-]+")
_NO_SPACE = re.compile(rb"No space left on device|Disk quota exceeded|disk full", re.IGNORECASE)
_CAUSES = (
    (re.compile(rb"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed"
                rb"|No \S+ host key is known"), "host-key-changed", "it shows another host key"),
    (re.compile(rb"Permission denied|Too many authentication failures"),
     "login-refused", "the server does not accept the admin key"),
    (re.compile(rb"Bad configuration option|terminating, \d+ bad configuration"),
     "internal", "ssh refuses our configuration"),
)


class NoSession(Exception):
    """ssh itself failed (255): `cause` and `detail` tell how it could be told apart."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(cause, detail)
        self.cause, self.detail = cause, detail


@dataclass(frozen=True)
class Server:
    """The account, through our own configuration and at best over one living session."""

    config: Path
    socket: Path

    def run(self, *words: str, stdin: bytes | None = None) -> process.Finished:
        """Run one command over the living session; raises ServiceFailure if ssh itself fails."""
        # Without the session ssh would quietly log in anew, which is no way back after a swap.
        only = ["-S", str(self.socket), "-o", "ProxyCommand=/bin/false"]
        return self._checked(only, words, stdin)

    def run_apart(self, *words: str) -> process.Finished:
        """Run one command over a connection of its own: a login that proves the server's keys."""
        return self._checked(["-S", "none", "-o", "ControlMaster=no"], words, None)

    def read(self, path: str) -> bytes | None:
        """Answer a file's bytes, None if the server cannot show it."""
        finished = self.run("cat", path)
        return finished.stdout if finished.code == 0 else None

    def write(self, path: str, data: bytes) -> None:
        """Write a file in place; raises server-full, or publish-refused for another reason."""
        finished = self.run("dd", f"of={path}", stdin=data)
        if finished.code != 0:
            raise refusal(finished, f"{path} cannot be written")

    def _checked(
        self, options: list[str], words: tuple[str, ...], stdin: bytes | None
    ) -> process.Finished:
        try:
            return _ssh(self.config, options, words, stdin)
        except NoSession as error:
            raise ServiceFailure(error.cause, error.detail) from error


def refusal(finished: process.Finished, detail: str) -> ServiceFailure:
    """Answer the failure that a command's stderr tells of: no space, or just refused."""
    if _NO_SPACE.search(finished.stderr):
        return ServiceFailure("server-full", "the account has no space left")
    return ServiceFailure("publish-refused", detail)


def try_login(server: Server) -> bool:
    """Tell whether the admin key is accepted; raises ServiceFailure for anything else."""
    try:
        _ssh(server.config, ["-S", "none", "-o", "ControlMaster=no"], ("ls", "-d", ".ssh"), None)
    except NoSession as error:
        if error.cause == "login-refused":
            return False
        raise ServiceFailure(error.cause, error.detail) from error
    return True


@contextmanager
def configured(settings: Settings, admin_key: Path) -> Iterator[Server]:
    """Lend the account without a living session yet; the configuration goes at the end.

    Raises admin-key-locked if the key has a passphrase that nobody has typed or types now.
    """
    holder = agent.required_by(admin_key)
    with ssh_config.written(ssh_config.ADMIN, settings, admin_key, holder) as private:
        yield Server(private / "ssh_config", private / "session")


@contextmanager
def living_session(server: Server) -> Iterator[int]:
    """Hold one authenticated connection that `run` uses; answers the descriptor that holds it.

    It lasts as long as any process keeps that descriptor: the far `cat` ends with its input, so
    a killed service leaves no connection behind.
    """
    argv = [SSH, "-F", str(server.config), "-M", "-S", str(server.socket), ssh_config.ADMIN, "cat"]
    with tempfile.TemporaryFile() as errors:
        master = subprocess.Popen(
            argv, env=ENVIRONMENT, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )
        assert master.stdin is not None and master.stdout is not None
        # The server may talk there for as long as the session lasts: a full file ends ssh, and
        # the core that the kernel would write holds the admin key.
        for kind, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _TALK_LIMIT)):
            resource.prlimit(master.pid, kind, (limit, limit))
        try:
            with contextlib.suppress(BrokenPipeError):
                master.stdin.write(_GREETING)
                master.stdin.flush()
            heard = master.stdout.readline(len(_GREETING))
            if heard and not _GREETING.startswith(heard):
                raise ServiceFailure("connection-failed", "it prints words at login; silence it")
            if heard != _GREETING:
                master.wait()
                errors.seek(0)
                failure = _no_session(errors.read(8192))
                raise ServiceFailure(failure.cause, failure.detail)
            yield master.stdin.fileno()
        finally:
            process.kill_group(master)
            with contextlib.suppress(BrokenPipeError):
                master.stdin.close()
            master.stdout.close()
            master.wait()


def _ssh(
    config: Path, options: list[str], words: tuple[str, ...], stdin: bytes | None
) -> process.Finished:
    if not all(_WORD.fullmatch(word) for word in words):
        raise ValueError("a word that a shell might interpret")
    argv = [SSH, "-F", str(config), *options, "--", ssh_config.ADMIN, *words]
    try:
        finished = process.run(
            argv, stdin=stdin, env=ENVIRONMENT, timeout=_SECONDS, limit=OUTPUT_LIMIT
        )
    except process.TimedOut as error:
        raise NoSession("server-unreachable", "the server stopped answering") from error
    except process.OutputTooLong as error:
        raise ServiceFailure("publish-refused", "the server sent more than allowed") from error
    if finished.code == _SSH_FAILED:
        raise _no_session(finished.stderr)
    return finished


def _no_session(untrusted_stderr: bytes) -> NoSession:
    for pattern, cause, detail in _CAUSES:
        if pattern.search(untrusted_stderr):
            return NoSession(cause, detail)
    return NoSession("server-unreachable", "no connection to the server")
