"""ssh to the account: one command or one list of file transfers, over a session or a login anew.

Runs in the maintenance qube. What comes back is untrusted: bounded here, parsed by the caller.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from qborg_maintenance import ssh_config
from qborg_service import process
from qborg_service.failure import ServiceFailure

SSH = "/usr/bin/ssh"
OUTPUT_LIMIT = 262144  # bytes of one command's stdout, and of a file that is fetched
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}
_SFTP, _BOUNDED = "/usr/bin/sftp", ("/usr/bin/prlimit", f"--fsize={OUTPUT_LIMIT}", "--core=0", "--")
SSH_FAILED = 255
_SECONDS = 60.0
# The server's shell splits and interprets what ssh joins: words need no quoting, or are refused.
_WORD = re.compile(r"[A-Za-z0-9_./=,:+-]+")
_LINE = re.compile(r"-?@?[a-z]+( [A-Za-z0-9_./+@-]+)*")
_NO_SPACE = re.compile(rb"No space left on device|Disk quota exceeded|disk full", re.IGNORECASE)
_NOT_OURS = re.compile(rb"Permission denied|Operation not permitted|Read-only file system")
# The login was fine; it is this request that the account does not have.
NOT_OFFERED = re.compile(rb"(?:exec|subsystem|shell) request failed on channel")
_CAUSES = (
    (re.compile(rb"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed"
                rb"|No \S+ host key is known"), "host-key-changed", "it shows another host key"),
    (re.compile(rb"Permission denied|Too many authentication failures"),
     "login-refused", "the server does not accept the admin key"),
    (re.compile(rb"Bad configuration option|terminating, \d+ bad configuration"),
     "internal", "ssh refuses our configuration"),
)


@dataclass(frozen=True)
class Connection:
    """The account through our own configuration; without `socket` each call is a login anew."""

    config: Path
    socket: Path | None

    def apart(self) -> "Connection":
        """Answer the same account over logins of their own: each proves the server's keys."""
        return dataclasses.replace(self, socket=None)

    def run(self, *words: str, stdin: bytes | None = None) -> process.Finished:
        """Run one command; raises ServiceFailure if ssh itself fails."""
        if not all(_WORD.fullmatch(word) for word in words):
            raise ValueError("a word that a shell might interpret")
        argv = [SSH, "-F", str(self.config), *self._options(), "--", ssh_config.ADMIN, *words]
        return self._finished(argv, stdin)

    def transfer(self, *lines: str) -> process.Finished:
        """Run commands of sftp until one fails; raises ServiceFailure if ssh itself fails."""
        if not all(_LINE.fullmatch(line) for line in lines):
            raise ValueError("a word that sftp might interpret")
        argv = [*_BOUNDED, _SFTP, "-q", "-F", str(self.config), *self._options(), "-b", "-", "--",
                ssh_config.ADMIN]  # fmt: skip
        return self._finished(argv, "".join(f"{line}\n" for line in lines).encode("ascii"))

    def _options(self) -> list[str]:
        if self.socket is None:
            return ["-o", "ControlPath=none", "-o", "ControlMaster=no"]
        # Without the session ssh would quietly log in anew, which is no way back after a swap.
        return ["-o", f"ControlPath={self.socket}", "-o", "ProxyCommand=/bin/false"]

    def _finished(self, argv: list[str], stdin: bytes | None) -> process.Finished:
        try:
            finished = process.run(
                argv, stdin=stdin, env=ENVIRONMENT, timeout=_SECONDS, limit=OUTPUT_LIMIT
            )
        except process.TimedOut as error:
            detail = "the server stopped answering"
            raise ServiceFailure("server-unreachable", detail) from error
        except process.OutputTooLong as error:
            raise ServiceFailure("publish-refused", "the server sent more than allowed") from error
        if finished.code == SSH_FAILED and not NOT_OFFERED.search(finished.stderr):
            raise no_session(finished.stderr)
        return finished


def no_session(untrusted_stderr: bytes) -> ServiceFailure:
    """Answer the failure that ssh's own words tell of."""
    for pattern, cause, detail in _CAUSES:
        if pattern.search(untrusted_stderr):
            return ServiceFailure(cause, detail)
    return ServiceFailure("server-unreachable", "no connection to the server")


def refusal(
    finished: process.Finished, detail: str, not_ours: str = "access-changed"
) -> ServiceFailure:
    """Answer the failure that a command's stderr tells of: no space, no right, or just refused.

    `not_ours` is the cause where there is no right to it.
    """
    if _NO_SPACE.search(finished.stderr):
        return ServiceFailure("server-full", "the account has no space left")
    if _NOT_OURS.search(finished.stderr):
        return ServiceFailure(not_ours, detail)
    return ServiceFailure("publish-refused", detail)
