"""The first login: the account's password, once, to put the admin key where the server looks.

Runs in the maintenance qube. Nothing that lies in the account is lost: the key is added to what
stands in authorized_keys, read back, moved in place, and proved by a login of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qborg_maintenance import admin_key, dialogue, publish, ssh_config
from qborg_maintenance.authorized_keys import FILE_LIMIT
from qborg_maintenance.server import ENVIRONMENT, SSH, Server, configured, refusal, try_login
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
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
            former = _add(server, admin_key.line(state, settings.machine))
            publish.make_root(server)
            if not try_login(server):
                _put_back(server, former)
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
    argv = [SSH, "-F", str(server.config), *options, "-M", "-S", str(server.socket), "--",
            ssh_config.ADMIN, "cat"]  # fmt: skip
    with dialogue.logged_in(argv, ENVIRONMENT, settings.fingerprint, password):
        yield


def _add(server: Server, line: str) -> bytes | None:
    """Add a line to authorized_keys unless it stands there; answers the former bytes, if any."""
    if server.run("ls", "-d", _FOLDER).code != 0:
        _must(server, "the directory .ssh cannot be made", "mkdir", _FOLDER)
        _must(server, "the mode of .ssh cannot be set", "chmod", "700", _FOLDER)
    former = server.read(way_back.KEYS)
    if former is None and server.run("ls", "-d", way_back.KEYS).code == 0:
        raise ServiceFailure("publish-refused", f"{way_back.KEYS} is there and cannot be read")
    kept = former or b""
    if b"\0" in kept or len(kept) + len(line) > FILE_LIMIT:
        raise ServiceFailure("publish-refused", f"{way_back.KEYS} is too long, or no text")
    if line.encode("ascii") in kept.split(b"\n"):
        # It stands there and is refused: sshd takes no key from what others may write to.
        _must(server, "the mode of .ssh cannot be set", "chmod", "700", _FOLDER)
        _must(server, "the file's mode cannot be set", "chmod", "600", way_back.KEYS)
    else:
        # A last line without its end would swallow ours.
        glue = b"" if not kept or kept.endswith(b"\n") else b"\n"
        _replace(server, kept + glue + f"{line}\n".encode("ascii"))
    return former


def _replace(server: Server, data: bytes) -> None:
    server.write(way_back.NEW, data)
    if server.read(way_back.NEW) != data:
        raise ServiceFailure("publish-refused", "the upload came back different")
    _must(server, "the new file's mode cannot be set", "chmod", "600", way_back.NEW)
    _must(server, "the new file cannot be moved in place", "mv", way_back.NEW, way_back.KEYS)


def _put_back(server: Server, former: bytes | None) -> None:
    if former is None:
        server.run("rm", "-f", way_back.KEYS)
    else:
        _replace(server, former)


def _must(server: Server, detail: str, *words: str) -> None:
    finished = server.run(*words)
    if finished.code != 0:
        raise refusal(finished, detail)
