"""The first login: the account's password, once, to put the admin key where the server looks.

Runs in the maintenance qube. Nothing that lies in the account is lost: under the lock of all our
computers the key is added to what stands in authorized_keys, and proved by a login of its own.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qborg_maintenance import admin_key, dialogue, probe, provider, publish, ssh_config
from qborg_maintenance.authorized_keys import FILE_LIMIT
from qborg_maintenance.connection import ENVIRONMENT, SSH
from qborg_maintenance.files import KEYS, Files
from qborg_maintenance.remote_lock import Lock, remote_lock
from qborg_maintenance.server import Server, configured, try_login
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_maintenance.swap import MEANWHILE, Swap, must
from qborg_maintenance.way_back import FORMER, NEW, WayBack
from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

_HOST_KEY_ALGORITHMS = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256"}
_FOLDER = ".ssh"


def accepted(state: State, settings: Settings) -> bool:
    """Tell whether the server takes the admin key already."""
    with configured(settings, state.admin_key) as server:
        return try_login(server)


def install(
    state: State, settings: Settings, password: Secret, waits: Callable[[], None]
) -> bool:
    """Have the server accept the admin key; False if it does so by now.

    Whoever asks for the account's password does so before: all others wait for the lock that is
    held here. `waits` is called while another computer writes there.
    Raises ServiceFailure; then authorized_keys is as it was, or as another person wrote it.
    """
    with state.locked(), configured(settings, state.admin_key) as server:
        if try_login(server):
            return False
        with _password_session(server, settings, password):
            server = _as_offered(server)
            _make_folder(server.files)
            with remote_lock(server, settings.machine_id, waits) as lock:
                _add(lock, admin_key.line(state, settings.machine).encode("ascii"))
            publish.make_root(server)
        return True


@contextmanager
def _password_session(server: Server, settings: Settings, password: Secret) -> Iterator[None]:
    """Hold the one connection that a password opened; `server.run` goes over it."""
    kind = settings.host_key.split(" ")[0]
    nobody = server.config.with_name("no_known_hosts")
    options = (
        *dialogue.OPTIONS,
        "-o", "BatchMode=no", "-o", "StrictHostKeyChecking=ask",
        "-o", f"UserKnownHostsFile={nobody}",
        "-o", f"HostKeyAlgorithms={_HOST_KEY_ALGORITHMS.get(kind, kind)}",
        "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1",
        "-o", "PreferredAuthentications=password,keyboard-interactive",
    )  # fmt: skip
    argv = [SSH, "-F", str(server.config), *options, "-M", "-S", str(server.socket), "-N",
            "--", ssh_config.ADMIN]  # fmt: skip
    with dialogue.logged_in(argv, ENVIRONMENT, settings.fingerprint, password):
        yield


def _as_offered(server: Server) -> Server:
    """Answer the account with the access that it has; raises publish-refused without files."""
    access = probe.access(server)
    if access in (None, provider.BORG):
        raise ServiceFailure("publish-refused", "the account shows no files; add the line there")
    return dataclasses.replace(server, access=access)


def _make_folder(files: Files) -> None:
    if not files.exists(_FOLDER):
        must("the directory .ssh cannot be made", files.make_directory(_FOLDER))
        must("the mode of .ssh cannot be set", files.set_mode(_FOLDER, "700"))


def _add(lock: Lock, line: bytes) -> None:
    """Add a line to authorized_keys unless it stands there, and prove it by a login."""
    files = lock.server.files
    if not files.exists(KEYS):
        _make_file(files)
    current = files.read(KEYS)
    if current is None:
        raise ServiceFailure("publish-refused", f"{KEYS} is there and cannot be read")
    if b"\0" in current or len(current) + len(line) > FILE_LIMIT:
        raise ServiceFailure("publish-refused", f"{KEYS} is too long, or no text")
    if line in current.split(b"\n"):
        # It stands there and is refused: sshd takes no key from what others may write to.
        must("the mode of .ssh cannot be set", files.set_mode(_FOLDER, "700"))
        must("the file's mode cannot be set", files.set_mode(KEYS, "600"))
        if not try_login(lock.server):
            raise ServiceFailure("login-refused", "the key stands there and is still refused")
        return
    # A last line without its end would swallow ours.
    glue = b"" if not current or current.endswith(b"\n") else b"\n"
    _replace(Swap(lock, current, current + glue + line + b"\n"))


def _make_file(files: Files) -> None:
    """Make an empty one, which lets in as many as none; never over one that comes meanwhile."""
    files.write(NEW, b"")
    must("the new file's mode cannot be set", files.set_mode(NEW, "600"))
    # What it leaves is one file of two names; the upload that follows parts them.
    if files.link(NEW, KEYS).code != 0 and not files.exists(KEYS):
        must("the new file cannot be moved in place", files.move(NEW, KEYS))


def _replace(swap: Swap) -> None:
    """Swap without a guard: every line of before stands in the new file, so a kill cuts off none.

    Raises ServiceFailure; what another person wrote meanwhile is never undone.
    """
    swap.upload()
    failure, _theirs = swap.move_and_prove()
    if failure is None:
        return
    files = swap.lock.server.files
    if files.read(KEYS) == swap.candidate and files.read(FORMER) != swap.current:
        files.move(FORMER, KEYS)  # they wrote into it in place, as it was swapped
    if files.read(KEYS) not in (swap.candidate, swap.current):
        # The admin key was never in theirs, so nothing is lost by leaving it as they want it.
        raise ServiceFailure("list-changed", f"{MEANWHILE} after us; it stays theirs")
    if not WayBack(swap.lock, swap.current, swap.candidate).go(orphaned=False):
        raise ServiceFailure("connection-failed", f"not rolled back: {FORMER} has what was there")
    raise failure
