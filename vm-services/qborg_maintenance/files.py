"""The few things done to files in the account, and how: by plain commands, or over sftp.

Runs in the maintenance qube. Paths are ours, relative to the account's home. The publication is
written once, against Files; what both ways answer is the server's word.
"""

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from qborg_maintenance.connection import OUTPUT_LIMIT, Connection, refusal
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited
from qborg_service.process import Finished

KEYS = ".ssh/authorized_keys"
ROOT = "repos"
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")  # of a file in a repository
_DEPTH = 3  # of a repository: its directories data/N and lock.exclusive
BLOCK = 4096  # bytes
# What stands above each list where there are several: of `ls -ln`, and of sftp that echoes it.
_HEAD = re.compile(rb"^([A-Za-z0-9_./-]+):$", re.MULTILINE)
_ECHO = re.compile(rb"^sftp> ls -ln ([A-Za-z0-9_./-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Files(ABC):
    """One way to the account's files; where Finished is answered, code 0 means done."""

    connection: Connection
    AT_ONCE: ClassVar[int]  # paths that may be listed or read by one call

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Answer a file's bytes, None if the server cannot show it."""

    @abstractmethod
    def put(self, path: str, data: bytes) -> Finished:
        """Write a file in place."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Tell whether a file or a directory is there."""

    @abstractmethod
    def names(self, path: str) -> frozenset[bytes] | None:
        """Answer what lies in a directory, None if it cannot be listed."""

    @abstractmethod
    def listed(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Answer the long list of each of these directories, less those that cannot be listed."""

    @abstractmethod
    def part(self, path: str, skip: int, count: int) -> bytes:
        """Answer some BLOCKs of a file, after those to skip; as much as the server can show."""

    @abstractmethod
    def joined(self, paths: Sequence[str]) -> bytes:
        """Answer the bytes of small files one after the other, less what cannot be shown."""

    @abstractmethod
    def make_directory(self, path: str) -> Finished:
        """Make one directory; fails if it is there, so that one of two makers wins."""

    @abstractmethod
    def set_mode(self, path: str, mode: str) -> Finished:
        """Set the permissions, as three octal digits."""

    @abstractmethod
    def move(self, source: str, target: str) -> Finished:
        """Rename a file over whatever is there: whole or not at all."""

    @abstractmethod
    def copy(self, source: str, target: str) -> Finished:
        """Copy a file with its permissions, which are 600."""

    @abstractmethod
    def link(self, source: str, target: str) -> Finished:
        """Give a file a second name: what is written into it is seen under both."""

    @abstractmethod
    def remove(self, *paths: str) -> None:
        """Remove files, as far as they are there."""

    @abstractmethod
    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is there and empty."""

    @abstractmethod
    def remove_tree(self, path: str) -> None:
        """Remove a directory with all that lies in it, as far as it can be; look afterwards."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file in place; raises the failure that refusal answers."""
        finished = self.put(path, data)
        if finished.code != 0:
            raise refusal(finished, f"{path} cannot be written")


class ShellFiles(Files):
    """One plain command for each: restricted shells have no pipe, no redirection, no `&&`."""

    AT_ONCE = 500

    def read(self, path: str) -> bytes | None:
        """By `cat`."""
        finished = self.connection.run("cat", path)
        return finished.stdout if finished.code == 0 else None

    def put(self, path: str, data: bytes) -> Finished:
        """By `dd`."""
        return self.connection.run("dd", f"of={path}", stdin=data)

    def exists(self, path: str) -> bool:
        """By `ls -d`."""
        return self.connection.run("ls", "-d", path).code == 0

    def names(self, path: str) -> frozenset[bytes] | None:
        """By `ls`."""
        finished = self.connection.run("ls", path)
        return frozenset(finished.stdout.split(b"\n")) - {b""} if finished.code == 0 else None

    def listed(self, paths: Sequence[str]) -> dict[str, bytes]:
        """By `ls -ln`, which goes on behind what it cannot list, and names none that is alone."""
        finished = self.connection.run("ls", "-ln", *paths)
        if len(paths) > 1:
            return _parted(_HEAD, finished.stdout)
        return {paths[0]: finished.stdout} if finished.code == 0 else {}

    def part(self, path: str, skip: int, count: int) -> bytes:
        """By `dd`."""
        return self.connection.run(
            "dd", f"if={path}", f"bs={BLOCK}", f"skip={skip}", f"count={count}").stdout

    def joined(self, paths: Sequence[str]) -> bytes:
        """By `cat`."""
        return self.connection.run("cat", *paths).stdout

    def make_directory(self, path: str) -> Finished:
        """By `mkdir`."""
        return self.connection.run("mkdir", path)

    def set_mode(self, path: str, mode: str) -> Finished:
        """By `chmod`."""
        return self.connection.run("chmod", mode, path)

    def move(self, source: str, target: str) -> Finished:
        """By `mv`."""
        return self.connection.run("mv", source, target)

    def copy(self, source: str, target: str) -> Finished:
        """By `cp -p`."""
        return self.connection.run("cp", "-p", source, target)

    def link(self, source: str, target: str) -> Finished:
        """By `cp -l`."""
        return self.connection.run("cp", "-l", source, target)

    def remove(self, *paths: str) -> None:
        """By `rm -f`."""
        self.connection.run("rm", "-f", *paths)

    def remove_directory(self, path: str) -> None:
        """By `rm -d`, which more accounts have than `rmdir`."""
        self.connection.run("rm", "-d", path)

    def remove_tree(self, path: str) -> None:
        """By `rm -rf`."""
        self.connection.run("rm", "-rf", path)


class SftpFiles(Files):
    """OpenSSH's sftp, one start of it for each: all that an account without a shell offers."""

    AT_ONCE = 16  # each of them takes six round trips

    def read(self, path: str) -> bytes | None:
        """By `get`."""
        with tempfile.TemporaryDirectory(dir=self.connection.config.parent) as private:
            local = Path(private) / "file"
            if self.connection.transfer(f"@get {path} {local}").code != 0:
                return None
            try:
                return read_limited(local, OUTPUT_LIMIT)
            except (FileNotFoundError, FileRefused):
                return None

    def put(self, path: str, data: bytes) -> Finished:
        """By `put`."""
        with tempfile.TemporaryDirectory(dir=self.connection.config.parent) as private:
            local = Path(private) / "file"
            local.touch(mode=0o600)  # sftp gives the new file this mode
            local.write_bytes(data)
            return self._told(self.connection.transfer(f"@put {local} {path}"))

    def exists(self, path: str) -> bool:
        """By `ls`."""
        return self.connection.transfer(f"@ls -1 {path}").code == 0

    def names(self, path: str) -> frozenset[bytes] | None:
        """By `ls`."""
        finished = self.connection.transfer(f"@ls -1 {path}")
        lines = (line.rpartition(b"/")[2] for line in finished.stdout.split(b"\n"))
        return frozenset(lines) - {b""} if finished.code == 0 else None

    def listed(self, paths: Sequence[str]) -> dict[str, bytes]:
        """By `ls -ln`, which ends with the first that it cannot list: the others come anew."""
        finished = self.connection.transfer(*(f"ls -ln {path}" for path in paths))
        found = _parted(_ECHO, finished.stdout)
        if finished.code == 0 or not found:
            return found
        rest, _failed = paths[len(found) :], found.popitem()
        return found | (self.listed(rest) if rest else {})

    def part(self, path: str, skip: int, count: int) -> bytes:
        """By `get`, which is cut off at OUTPUT_LIMIT."""
        return self._got([path])[skip * BLOCK : (skip + count) * BLOCK]

    def joined(self, paths: Sequence[str]) -> bytes:
        """By `get`."""
        return self._got(paths)

    def _got(self, paths: Sequence[str]) -> bytes:
        with tempfile.TemporaryDirectory(dir=self.connection.config.parent) as private:
            pairs = [(path, Path(private) / str(number)) for number, path in enumerate(paths)]
            self.connection.transfer(*(f"-@get {path} {local}" for path, local in pairs))
            return b"".join(local.read_bytes() for _path, local in pairs if local.is_file())

    def make_directory(self, path: str) -> Finished:
        """By `mkdir`."""
        return self._told(self.connection.transfer(f"@mkdir {path}"))

    def set_mode(self, path: str, mode: str) -> Finished:
        """By `chmod`."""
        return self.connection.transfer(f"@chmod {mode} {path}")

    def move(self, source: str, target: str) -> Finished:
        """By `rename`."""
        # Where the server lacks posix-rename this fails over a file: found at the set-up.
        return self.connection.transfer(f"@rename {source} {target}")

    def copy(self, source: str, target: str) -> Finished:
        """By `get` and `put`."""
        data = self.read(source)
        if data is None:
            return Finished(1, b"", b"")
        self.remove(target)  # else its mode stays
        return self.put(target, data)

    def link(self, source: str, target: str) -> Finished:
        """By `ln`."""
        return self.connection.transfer(f"@ln {source} {target}")

    def remove(self, *paths: str) -> None:
        """By `rm`."""
        for path in paths:
            self.connection.transfer(f"@rm {path}")

    def remove_directory(self, path: str) -> None:
        """By `rmdir`."""
        self.connection.transfer(f"@rmdir {path}")

    def remove_tree(self, path: str, depth: int = _DEPTH) -> None:
        """By `rm` and `rmdir`, level by level: sftp itself removes no tree."""
        # The path itself first: what lies behind a link is not in the tree.
        self.connection.transfer(*(f"-@rm {each}" for each in (path, *self._inside(path))))
        for each in self._inside(path) if depth else ():
            self.remove_tree(each, depth - 1)
        self.remove_directory(path)

    def _inside(self, path: str) -> list[str]:
        """Answer what lies in a directory, less what has a name that no file of borg's has."""
        named = (name.decode("ascii", "replace") for name in self.names(path) or ())
        return sorted(f"{path}/{name}" for name in named if _NAME.fullmatch(name))

    def _told(self, finished: Finished) -> Finished:
        """sftp's protocol has no word for a full disk: then the server is asked how full it is."""
        if finished.code != 0 and b"Failure" in finished.stderr:
            free = re.search(rb"\n\s*\d+\s+\d+\s+(\d+)\s", self.connection.transfer("@df .").stdout)
            if free is not None and int(free[1]) == 0:
                return replace(finished, stderr=b"No space left on device")
        return finished


def _parted(head: re.Pattern[bytes], untrusted_lists: bytes) -> dict[str, bytes]:
    """Answer the lists by the paths that stand above them."""
    _before, *parts = head.split(untrusted_lists)
    return dict(zip(map(bytes.decode, parts[::2]), parts[1::2], strict=True))


def try_sftp(connection: Connection) -> bool:
    """Tell whether an account that was just logged in to serves sftp."""
    try:
        return connection.transfer("@pwd").code == 0
    except ServiceFailure:
        return False  # the account's shell refused, and so sftp heard nobody
