"""Look after the admin key of the backup server, at a terminal of the maintenance qube.

What is typed here stays in this qube. `login` goes on with a `qvm-borg-setup` that waits in dom0.

examples:
  qborg-admin login                    type the account's password, once, to install the key
  qborg-admin import ~/.ssh/my-key     use your own key; before `login`, and before the set-up ends
  qborg-admin unlock                   type the key's passphrase, once for each start of this qube
  qborg-admin show                     print the line for the server's .ssh/authorized_keys
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from qborg_maintenance import admin_key, agent, first_login, settings, waiting
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State, own_state
from qborg_service import command_line, typed
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret
from qborg_wire.reply import printable

_HINTS = {
    "account-held": "keep it; your own key may have a line of its own in .ssh/authorized_keys",
    "admin-key-locked": "`qborg-admin unlock`, with the passphrase of that key",
    "admin-key-refused": "an ed25519 or RSA key in OpenSSH's format, with or without passphrase",
    "host-key-changed": "do not go on: compare the host key with your provider's page",
    "password-refused": "look the password up at your provider; a second factor must be off",
    "settings-missing": "run `qvm-borg-setup --server ACCOUNT@HOST` in dom0 first",
    "server-unreachable": "does this qube reach the network?",
}
_OTHER = "mend that and run the command again; nothing was lost"


def main(args: Sequence[str] | None = None) -> int:
    """Run one of the commands; answers 0, or 1 after telling why not."""
    options = parser().parse_args(args)
    commands: dict[str, Callable[[State, argparse.Namespace], str]] = {
        "login": _login, "import": _import, "unlock": _unlock, "show": _show,
    }
    try:
        print(commands[options.command](own_state(), options))
        return 0
    except ServiceFailure as failure:
        print(f"error: {failure.cause}: {printable(failure.detail, 300)}", file=sys.stderr)
        print(f"hint: {_HINTS.get(failure.cause, _OTHER)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.strerror}: {printable(str(error.filename), 300)}", file=sys.stderr)
        print(f"hint: {_OTHER}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _login(state: State, options: argparse.Namespace) -> str:
    known = _known(state)
    question = f"Password of {known.account} at {known.host}: "
    try:
        installed = not first_login.accepted(state, known) and first_login.install(
            state, known, _secret(options, question), _waits)
    except ServiceFailure as failure:
        # A slip of the fingers is mended here; the service goes on waiting for the next try.
        if failure.cause not in ("password-refused", "password-awaited"):
            waiting.tell(failure)
        raise
    waiting.tell(None)
    return "the server accepts the admin key" + ("" if installed else " already")


@functools.cache  # said once
def _waits() -> None:
    print("waiting for another computer that changes the server's keys", file=sys.stderr)


def _import(state: State, options: argparse.Namespace) -> str:
    changed = admin_key.take(state, Path(options.file).absolute())
    return "it is the admin key" + (" now" if changed else " already")


def _unlock(state: State, options: argparse.Namespace) -> str:
    if not admin_key.outline(state.admin_key).encrypted:
        return "the admin key has no passphrase"
    agent.unlock(state.admin_key, _secret(options, "Passphrase of the admin key: "))
    return "the admin key is unlocked until this qube stops"


def _show(state: State, _options: argparse.Namespace) -> str:
    return admin_key.line(state, _known(state).machine)


def _known(state: State) -> Settings:
    found = settings.load_pending(state) or settings.load(state)
    if found is None:
        raise ServiceFailure("settings-missing", "no server is set up in this qube")
    return found


def _secret(options: argparse.Namespace, question: str) -> Secret:
    return typed.terminal(question) if options.fd is None else typed.descriptor(options.fd)


def parser() -> argparse.ArgumentParser:
    """Answer what knows the commands and their options."""
    made = command_line.parser("qborg-admin", __doc__)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    login = commands.add_parser("login", help="install the admin key by the account's password")
    login.add_argument("--password-fd", dest="fd", type=int, metavar="N",
                       help="read the password from this descriptor")  # fmt: skip
    own = commands.add_parser("import", help="use a key of your own as the admin key")
    own.add_argument("file", metavar="FILE", help="the private key; a copy is taken")
    unlock = commands.add_parser("unlock", help="type the passphrase of the admin key")
    unlock.add_argument("--passphrase-fd", dest="fd", type=int, metavar="N",
                        help="read the passphrase from this descriptor")  # fmt: skip
    commands.add_parser("show", help="print the admin key's line of authorized_keys")
    return made
