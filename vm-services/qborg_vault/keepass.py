"""keepassxc-cli: one KeePassXC database, what opens it, and the four things done with it.

Runs in the vault. What opens the database goes in on stdin; knows nothing of records.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qborg_service import process
from qborg_service.secret import Secret

LIMIT = 128 << 20  # bytes of a database, and of its text
PROGRAM = "/usr/bin/keepassxc-cli"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "QT_QPA_PLATFORM": "offscreen"}
_SECONDS = 300.0  # of one command: a strong key derivation may take long
_SIGNATURE = bytes.fromhex("03d9a29a67fb4bb5")  # of KeePass 2 and later; 1 ends with 65
_REFUSED = b"Invalid credentials"
_UNLOCK_MS = "100"  # of a database whose password is random already

_DAMAGED = ("KeePassXC makes no sense of it: take a copy of it from before, for instance one "
            "of the .before- files beside it")  # fmt: skip
_KEYS = ("type it again; a database with a key file needs --key-file, one without a password "
         "--no-password; one that asks for a hardware key cannot be opened here")  # fmt: skip


class DatabaseRefused(Exception):
    """Something about a user's database, for its owner; `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        """Keep both, one line each; neither holds a secret."""
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Key:
    """What opens a database: a password (None: it has none), a key file, or both."""

    password: Secret | None
    file: Path | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options of keepassxc-cli that say so."""
        named = () if self.file is None else ("--key-file", str(self.file))
        return named + (("--no-password",) if self.password is None else ())

    @property
    def typed(self) -> Secret:
        """What keepassxc-cli reads on stdin."""
        return Secret(b"" if self.password is None else self.password.reveal() + b"\n")


@dataclass(frozen=True)
class Database:
    """One .kdbx file and what opens it; every method raises DatabaseRefused."""

    path: Path
    key: Key

    def create(self) -> None:
        """Make it, with a password and KeePassXC's own settings; it must not exist."""
        twice = Secret(self.key.typed.reveal() * 2)
        _run("make the database", ["db-create", "--set-password", str(self.path)], twice)

    def text(self) -> bytes:
        """Answer all of it as XML. Of a KDBX 4 database the attachments are not in it."""
        return _run("read it", ["export", *self.key.options, "--format", "xml", str(self.path)],
                    self.key.typed)  # fmt: skip

    def absorb(self, xml: Secret) -> None:
        """Merge what the XML holds into it, by UUID: newer entries win, the old go to history."""
        with _made_of(xml, self.path.with_name("source.kdbx")) as source:
            typed = Secret(self.key.typed.reveal() + source.key.typed.reveal())
            _run("merge into it", ["merge", *self.key.options, str(self.path), str(source.path)],
                 typed)  # fmt: skip


@contextmanager
def _made_of(xml: Secret, path: Path) -> Iterator[Database]:
    """Make a database of XML, under a random password; it is removed at the end.

    keepassxc-cli wants a file: it gets one that lies in memory and has no name.
    """
    made = Database(path, Key(Secret(secrets.token_hex(32).encode("ascii"))))
    descriptor = os.memfd_create("qborg")
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(xml.reveal())
        argv = ["import", "--set-password", "--decryption-time", _UNLOCK_MS,
                f"/proc/self/fd/{descriptor}", str(path)]  # fmt: skip
        _run("prepare the records", argv, Secret(made.key.typed.reveal() * 2), descriptor)
    finally:
        os.close(descriptor)
    yield made
    path.unlink()


def require_program() -> None:
    """Raise DatabaseRefused where keepassxc-cli is not installed."""
    if not os.access(PROGRAM, os.X_OK):
        raise DatabaseRefused(
            f"{PROGRAM} is not installed",
            "install it in the vault's template (Debian: keepassxc-minimal or keepassxc; Fedora: "
            "keepassxc), shut down template and vault, and try again",
        )


def require_signature(data: bytes) -> None:
    """Raise DatabaseRefused for bytes that are no KeePass database, whatever would open it."""
    if data[:8] != _SIGNATURE:
        raise DatabaseRefused("that file is no KeePass 2 database (.kdbx)", _DAMAGED)


def _run(what: str, words: list[str], typed: Secret, *descriptors: int) -> bytes:
    """Run one command and answer what it printed."""
    try:
        finished = process.run(
            [PROGRAM, *words], stdin=typed.reveal(), env=_ENVIRONMENT, timeout=_SECONDS,
            limit=LIMIT, pass_fds=descriptors,
        )  # fmt: skip
    except process.ProgramMissing:
        require_program()
        raise
    except process.ProcessError as error:
        raise DatabaseRefused(str(error), "try again; nothing was changed") from error
    if finished.code == 0:
        return finished.stdout
    if _REFUSED in finished.stderr:
        raise DatabaseRefused("it does not open: a wrong master password, or damaged", _KEYS)
    raise DatabaseRefused(f"keepassxc-cli cannot {what}: the file is damaged or odd", _DAMAGED)
