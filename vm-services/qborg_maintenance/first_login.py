"""The first login: the account's password, once, to put the admin key where the server looks.

Runs in the maintenance qube. Nothing that lies in the account is lost: the key is added to what
stands in authorized_keys, read back, moved in place, and proved by a login of its own.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qborg_maintenance import admin_key, dialogue, probe, provider, publish, ssh_config
from qborg_maintenance.authorized_keys import FILE_LIMIT
from qborg_maintenance.connection import ENVIRONMENT, SSH, refusal
from qborg_maintenance.files import KEYS, Files
from qborg_maintenance.server import Server, configured, try_login
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_maintenance.way_back import NEW
from qborg_service.failure import ServiceFailure
from qborg_service.process import Finished
from qborg_service.secret import Secret

_HOST_KEY_ALGORITHMS = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256"}
_FOLDER = ".ssh"


def accepted(state: State, settings: Settings) -> bool:
    """Tell whether the server takes the admin key already."""
    with configured(settings, state.admin_key) as server:
        return try_login(server)


def install(state: State, settings: Settings, ask: Callable[[], Secret]) -> bool:
    """Have the server accept the admin key; False if it did so before, and nobody was asked.

    `ask` answers the account's password. Raises ServiceFailure; then authorized_keys is as it was.
    """
    with state.locked(), configured(settings, state.admin_key) as server:
        if try_login(server):
            return False
        with _password_session(server, settings, ask()):
            server = _as_offered(server)
            former = _add(server.files, admin_key.line(state, settings.machine))
            publish.make_root(server)
            if not try_login(server):
                _put_back(server.files, former)
                raise ServiceFailure("login-refused", "the key is added and still refused")
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


def _add(files: Files, line: str) -> bytes | None:
    """Add a line to authorized_keys unless it stands there; answers the former bytes, if any."""
    if not files.exists(_FOLDER):
        _must("the directory .ssh cannot be made", files.make_directory(_FOLDER))
        _must("the mode of .ssh cannot be set", files.set_mode(_FOLDER, "700"))
    former = files.read(KEYS)
    if former is None and files.exists(KEYS):
        raise ServiceFailure("publish-refused", f"{KEYS} is there and cannot be read")
    kept = former or b""
    if b"\0" in kept or len(kept) + len(line) > FILE_LIMIT:
        raise ServiceFailure("publish-refused", f"{KEYS} is too long, or no text")
    if line.encode("ascii") in kept.split(b"\n"):
        # It stands there and is refused: sshd takes no key from what others may write to.
        _must("the mode of .ssh cannot be set", files.set_mode(_FOLDER, "700"))
        _must("the file's mode cannot be set", files.set_mode(KEYS, "600"))
    else:
        # A last line without its end would swallow ours.
        glue = b"" if not kept or kept.endswith(b"\n") else b"\n"
        _replace(files, kept + glue + f"{line}\n".encode("ascii"))
    return former


def _replace(files: Files, data: bytes) -> None:
    files.write(NEW, data)
    if files.read(NEW) != data:
        raise ServiceFailure("publish-refused", "the upload came back different")
    _must("the new file's mode cannot be set", files.set_mode(NEW, "600"))
    _must("the new file cannot be moved in place", files.move(NEW, KEYS))


def _put_back(files: Files, former: bytes | None) -> None:
    if former is None:
        files.remove(KEYS)
    else:
        _replace(files, former)


def _must(detail: str, finished: Finished) -> None:
    if finished.code != 0:
        raise refusal(finished, detail)
