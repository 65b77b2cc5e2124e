"""An account in a directory of this machine, and both ways to its files."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import cast

from qborg_maintenance.connection import OUTPUT_LIMIT as CUT
from qborg_maintenance.connection import Connection
from qborg_maintenance.files import Files, SftpFiles, ShellFiles
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished


class Account:
    """An account in a directory of this machine: plain commands, and what sftp does in a batch."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home.parent / "ssh_config"
        self.asked = 0
        self.dies_at: int | None = None

    def _counts(self) -> None:
        self.asked += 1
        if self.asked == self.dies_at:
            raise ServiceFailure("server-unreachable", "the connection broke")

    def run(self, *words: str, stdin: bytes | None = None) -> Finished:
        """Run one command."""
        self._counts()
        done = subprocess.run(
            words, cwd=self.home, input=stdin, capture_output=True, check=False, timeout=60)
        return Finished(done.returncode, done.stdout, done.stderr)

    def transfer(self, *lines: str) -> Finished:
        """Do the lines of a batch until one fails whose failure counts."""
        self._counts()
        said = b""
        for line in lines:
            if not line.lstrip("-").startswith("@"):
                said += f"sftp> {line}\n".encode()
            name, *words = line.lstrip("-@").split(" ")
            if "-ln" in words:
                name = "list"
            paths = [self.home / word for word in words if not word.startswith("-")]
            code, out = self._does(name, paths)
            said += out
            if code and not line.startswith("-"):
                return Finished(1, said, b"Failure")
        return Finished(0, said, b"")

    def _does(self, name: str, paths: list[Path]) -> tuple[int, bytes]:
        doing: dict[str, Callable[..., object]] = {
            "rm": os.unlink, "rmdir": os.rmdir, "rename": os.rename,
            "get": lambda path, local: local.write_bytes(path.read_bytes()[:CUT]) and None,
            "list": lambda path: subprocess.run(
                ["/bin/ls", "-ln", path], capture_output=True, check=True, text=True).stdout,
            "ls": lambda path: f"{path}\n" if path.is_file() else "".join(
                f"{path}/{each}\n" for each in os.listdir(path) if not each.startswith(".")),
        }  # fmt: skip
        try:
            answer = doing[name](*paths)
        except (OSError, subprocess.CalledProcessError):
            return 1, b""
        return 0, str(answer or "").encode()


WAYS: dict[str, Callable[[Account], Files]] = {
    "shell": lambda account: ShellFiles(cast(Connection, account)),
    "sftp": lambda account: SftpFiles(cast(Connection, account)),
}
