"""What the two commands around a .kdbx file share: its options, the password, the errors.

Runs in the vault.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from qborg_service import command_line, typed
from qborg_service.failure import ServiceFailure, is_full
from qborg_service.files import read_limited
from qborg_vault import keepass
from qborg_vault.keepass import DatabaseRefused, Key

DAMAGED = (
    "for that one: qborg-vault-import of another file, or of a kit; or in dom0 `qvm-borg-rotate "
    "QUBE`, and of the account `qvm-borg-setup`"
)
_HINTS = {
    "password-awaited": "type it at a terminal of the vault, or name a descriptor: --password-fd N",
    "record-refused": DAMAGED,
    "vault-full": "an old record directory may be moved away by hand",
    "wrong-caller": "an account of another maintenance qube is kept here: --help tells more",
}
_OTHER = "mend that and run the command again; nothing was changed"


def parser(name: str, text: str) -> argparse.ArgumentParser:
    """Answer a parser with what both commands take; `text` is a module's docstring."""
    made = command_line.parser(name, text)
    made.add_argument("file", metavar="FILE.kdbx", type=Path, help="the KeePassXC database")
    made.add_argument("--password-fd", dest="fd", type=int, metavar="N",
                      help="read the master password from this descriptor")  # fmt: skip
    made.add_argument("--key-file", type=Path, metavar="KEYFILE",
                      help="the database is locked with this key file too")  # fmt: skip
    made.add_argument("--no-password", action="store_true",
                      help="the key file alone opens it")  # fmt: skip
    made.add_argument("--json", action="store_true", help="say what was done as JSON")
    return made


def require(options: argparse.Namespace) -> Path:
    """Answer the file's real place, once it is sure to be a database; raises DatabaseRefused.

    Before anybody types a password for nothing.
    """
    keepass.require_program()
    if options.no_password and options.key_file is None:
        raise DatabaseRefused("--no-password needs --key-file", "name the key file")
    if options.key_file is not None and not options.key_file.is_file():
        raise DatabaseRefused(f"{options.key_file}: no such key file", "look where it is")
    path: Path = options.file.resolve()
    if path.is_dir():
        raise DatabaseRefused(f"{path} is a directory", "name the .kdbx file in it")
    keepass.require_signature(read_limited(path, keepass.LIMIT)[:8])
    return path


def key(options: argparse.Namespace, *questions: str) -> Key:
    """Answer what opens the database, the password typed once for each question."""
    file = options.key_file.resolve() if options.key_file is not None else None
    if options.no_password:
        return Key(None, file)
    if options.fd is not None:
        return Key(typed.descriptor(options.fd), file)
    answers = [typed.terminal(question) for question in questions]
    if any(each != answers[0] for each in answers):
        raise DatabaseRefused("the two passwords differ", "type the same one twice")
    return Key(answers[0], file)


def run(options: argparse.Namespace, work: Callable[[argparse.Namespace], int]) -> int:
    """Run a command; answers its exit code, or 1 after telling why not in two lines."""
    try:
        return work(options)
    except DatabaseRefused as error:
        return tell(str(error), error.hint)
    except (ServiceFailure, OSError) as error:
        return tell(*told(error))
    except KeyboardInterrupt:
        return 130


def told(error: ServiceFailure | OSError) -> tuple[str, str]:
    """Answer what a person reads of an error, and what to do."""
    if isinstance(error, ServiceFailure):
        return f"{error.cause}: {error.detail}", _HINTS.get(error.cause, _OTHER)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}", (
        "free some space; nothing was changed" if is_full(error) else _OTHER)


def tell(problem: str, hint: str) -> int:
    """Print an error and what to do, one line each; answers 1."""
    print(f"error: {clean(problem)}\nhint: {clean(hint)}", file=sys.stderr)
    return 1


def clean(text: str) -> str:
    """Answer text of one line for a terminal: names of files in any language, and no controls."""
    shown = "".join(each if each.isprintable() else "_" for each in text[:1000])
    return shown.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding)


def say(options: argparse.Namespace, facts: dict[str, object], lines: Sequence[str]) -> None:
    """Print what was done, for a program or for a person."""
    if options.json:
        print(json.dumps(facts, sort_keys=True))
    else:
        print(*map(clean, lines), sep="\n")
