"""A maintenance qube's settings, keys and state, and a server's file."""

import base64
from pathlib import Path

from qborg_maintenance import admin_key, keys
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_wire.names import Repository

MACHINE, MACHINE_ID, OTHER_ID = "dom", "ab" * 16, "cd" * 16
BEGIN = f"# BEGIN qubes-borg {MACHINE} {MACHINE_ID} epoch=7\n".encode()
END = f"# END qubes-borg {MACHINE} {MACHINE_ID}\n".encode()


def key(number: int) -> str:
    """Answer a well-formed public key that differs by number."""
    head = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
    return "ssh-ed25519 " + base64.b64encode(head + bytes([number]) * 32).decode("ascii")


ADMIN = key(1)
ADMIN_LINE = f"{ADMIN} me@laptop\n".encode()
SETTINGS = Settings(MACHINE, MACHINE_ID, "backup.example", "22", "ab1234", key(9), "borg14")


def forgotten(place: Path, repository: Repository, borg_id: str) -> State:
    """Answer a maintenance qube that has made the keys of a repository, and forgotten them."""
    state = State(place)
    admin_key.ensure(state, MACHINE)
    keys.make(state, SETTINGS, repository)
    keys.set_quota(state, SETTINGS, repository, "50G")
    keys.note_birth(state, SETTINGS, repository, borg_id)
    keys.forget(state, SETTINGS, repository)
    return state


def client_line(name: str, number: int) -> bytes:
    """Answer a client's line as it must be."""
    command = f"borg14 serve --append-only --restrict-to-repository repos/{name}"
    return f'command="{command}",restrict {key(number)} {name}\n'.encode()
