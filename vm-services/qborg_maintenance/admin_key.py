"""The admin key: the one that may change the server's authorized_keys.

Runs in the maintenance qube and never leaves it. It was made here, or it is the user's own; then
it may have a passphrase, and agent.py holds it unlocked for as long as the qube runs.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qborg_maintenance import private_key
from qborg_maintenance.private_key import KeyRefused, Outline
from qborg_maintenance.state import State
from qborg_service import ssh_key
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, sync_directory, write_private
from qborg_service.secret import Secret


def ensure(state: State, machine: str) -> str:
    """Answer the admin's public key as `TYPE BASE64`; the pair is made if there is none."""
    if not state.admin_key.exists():
        _place(state, lambda private: ssh_key.make(private, f"qubes-borg-admin-{machine}"))
    return public_key(state)


def public_key(state: State) -> str:
    """Answer `TYPE BASE64`, whether or not the key is locked; raises admin-key-refused."""
    return outline(state.admin_key).public_key


def line(state: State, machine: str) -> str:
    """Answer the admin's line of authorized_keys, as it is shown and as it is added."""
    return f"{public_key(state)} qubes-borg-admin {machine}"


def outline(private: Path) -> Outline:
    """Answer what is known of a private key without its passphrase."""
    try:
        return private_key.parse(read_limited(private, private_key.LIMIT))
    except (FileRefused, KeyRefused) as error:
        raise ServiceFailure("admin-key-refused", f"{private}: {error}") from error
    except OSError as error:
        raise ServiceFailure("admin-key-refused", f"{private}: {error.strerror}") from error


def take(state: State, source: Path) -> bool:
    """Make a copy of the user's own key the admin key; answers whether that changed anything.

    The one that is there is kept beside, as long as no set-up has ended with it. Raises
    admin-key-refused, or account-held for one that is in use: it may be the only way in.
    """
    found = outline(source)
    data = read_limited(source, private_key.LIMIT).strip() + b"\n"
    with state.locked():
        if not state.admin_key.exists():
            _place(state, lambda private: write_private(private, data))
            return True
        former = public_key(state)
        if former == found.public_key:
            return False
        if state.settings.exists() or state.record.exists():
            raise ServiceFailure("account-held", "there is another admin key, and it is in use")
        _keep_beside(state.admin_key, former)
        write_private(state.admin_key, data)
    return True


def _keep_beside(private: Path, public: str) -> None:
    """Give a key another name, under which it stays once its place is taken."""
    digest = hashlib.sha256(public.encode("ascii")).hexdigest()[:16]
    beside = private.with_name(f"{private.name}.former-{digest}")
    with suppress(FileExistsError):  # of a run that was killed
        os.link(private, beside)
    # Beside another key it would mislead ssh, which reads it first.
    with suppress(FileNotFoundError):
        private.with_name(f"{private.name}.pub").rename(f"{beside}.pub")
    sync_directory(private.parent)


def put_back(state: State, private: Secret) -> None:
    """Make the escrowed key the admin key, where there is none; the caller holds the lock."""
    _place(state, lambda path: write_private(path, private.reveal()))


def _place(state: State, make: Callable[[Path], object]) -> None:
    """Have `make` write the key beside, and rename its directory in: whole or not at all."""
    state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".admin.", dir=state.root))
    try:
        make(made / state.admin_key.name)
        os.rename(made, state.admin)
    except BaseException:
        shutil.rmtree(made)
        raise
    sync_directory(state.root)
