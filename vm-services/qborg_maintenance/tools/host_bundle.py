"""Make the bundle of a plain host, one without Qubes, in a directory to carry there.

The host needs qubes-borg's client package, borg, borgmatic and cron; `DIR/install` does there
what a qube does when its bundle is delivered. DIR holds the host's secrets: wipe it afterwards.

example:
  qborg-host-bundle laptop2 ~/laptop2
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from qborg_borg.key_export import REPOKEY
from qborg_maintenance import (
    keys, publish, registry, render, repository, revocation, settings,
)
from qborg_maintenance.state import State, own_state
from qborg_service import command_line
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.key_line import restricted_line
from qborg_wire.names import NameRefused, Repository, parse_qube
from qborg_wire.reply import printable

_INSTALLER = b"""\
#!/bin/sh
# Made by qubes-borg: run it on the host, as the user whose files are backed up.
exec /usr/bin/qborg-install "$(dirname "$0")/bundle.json"
"""
_HINT = "mend that and run the command again: it goes on"


def main(args: Sequence[str] | None = None) -> int:
    """Make keys, publish them, make the repository, write the bundle; answers 0, or 1."""
    options = parser().parse_args(args)
    try:
        print(_make(own_state(), options.name, options.directory))
        return 0
    except ServiceFailure as failure:
        problem = f"{failure.cause}: {failure.detail}"
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    except KeyboardInterrupt:
        return 130
    print(f"error: {printable(problem, 1200)}\nhint: {_HINT}", file=sys.stderr)
    return 1


def _make(state: State, host: str, directory: Path) -> str:
    known = settings.require(state)
    wanted = Repository(known.machine, host)
    if directory.is_symlink() or (directory.exists() and os.listdir(directory)):
        raise ServiceFailure("directory-refused", f"{directory}: name a new or an empty one")
    directory.mkdir(mode=0o700, exist_ok=True)
    revocation.make_way(state, known, wanted)
    entry, _created = keys.make(state, known, wanted, registry.HOST)
    if publish.publish(state, known, [str(wanted)], _nothing, _nothing).awaited:
        line = restricted_line(known.remote_borg, wanted, entry.public_key, entry.quota)
        raise ServiceFailure("keys-awaited", f"add this line at the server: {line}")
    entry, secrets = keys.require(state, known, wanted)
    born = repository.initialise(state, known, secrets, REPOKEY)
    keys.note_birth(state, known, wanted, born.repository_id)
    record, digest = render.bundle(known, entry, secrets)
    directory.chmod(0o700)
    write_private(directory / "bundle.json", record.reveal())
    write_private(directory / "install", _INSTALLER, 0o700)
    return (f"{wanted}: the bundle {digest[:16]} is in {directory}; carry it to {host}, run "
            f"./install there, and wipe {directory} here and there; no vault has its secrets: "
            "they stay in this qube, so back it up")


def _nothing() -> None:
    """Tell nobody how far it is: it is one key, and the person sees the command run."""


def _name(untrusted_text: str) -> str:
    try:
        name = parse_qube(untrusted_text)
    except NameRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if "." in name:  # qborg_client.identity knows a host by what stands before it
        raise argparse.ArgumentTypeError("a host's name ends at its first dot")
    return name


def parser() -> argparse.ArgumentParser:
    """Answer what knows the arguments."""
    made = command_line.parser("qborg-host-bundle", __doc__)
    made.add_argument("name", metavar="NAME", type=_name, help="the host's name, to its first dot")
    made.add_argument("directory", metavar="DIR", type=Path, help="a new or an empty directory")
    return made
