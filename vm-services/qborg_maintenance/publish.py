"""Publishing: the server's authorized_keys changed so that nobody can be locked out.

Runs in the maintenance qube with the admin key. Read, rendered, checked, uploaded beside, read
back, swapped under a guard, proved by a login of its own; else the old file is put back.
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qborg_maintenance import admin_key, authorized_keys, keypair, registry
from qborg_maintenance.authorized_keys import Document, KeysRefused, OtherComputer
from qborg_maintenance.guard import Verdict, guarded
from qborg_maintenance.remote_lock import LOCK, remote_lock
from qborg_maintenance.server import Server, configured, living_session, refusal
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service import process
from qborg_service.failure import ServiceFailure

KEYS = ".ssh/authorized_keys"
ROOT = "repos"
NEW, _BACKUP, _BACK = f"{KEYS}.qborg-new", f"{KEYS}.qborg-bak", f"{KEYS}.qborg-rb"


@dataclass(frozen=True)
class Published:
    """What stands on the server now: epoch and number of our keys, digest of the whole file."""

    epoch: int
    keys: int
    changed: bool
    digest: str


def read_document(server: Server, settings: Settings) -> tuple[bytes, Document]:
    """Answer the server's file and its parts; raises publish-refused or settings-differ."""
    data = server.read(KEYS)
    if data is None:
        raise ServiceFailure("publish-refused", f"the server does not show {KEYS}")
    try:
        return data, authorized_keys.parse(data, settings.machine, settings.machine_id)
    except OtherComputer as error:
        raise ServiceFailure("settings-differ", str(error)) from error
    except KeysRefused as error:
        raise ServiceFailure("publish-refused", str(error)) from error


def publish(state: State, settings: Settings, wanted: Sequence[str]) -> Published:
    """Bring the registry's live keys onto the server; raises ServiceFailure, then unchanged.

    Every repository in `wanted` must be among them.
    """
    with state.locked() as lock, configured(settings, state.admin_key) as server:
        with living_session(server) as session, remote_lock(server, settings.machine_id):
            return _Publication(state, settings, server, (lock, session)).run(wanted)


def make_root(server: Server) -> None:
    """Make the account's directory of all repositories unless it is there."""
    if server.run("ls", "-d", ROOT).code != 0:
        made = server.run("mkdir", ROOT)
        if made.code != 0:
            raise refusal(made, f"the directory {ROOT} cannot be made")


class _Publication:
    def __init__(
        self, state: State, settings: Settings, server: Server, held: tuple[int, ...]
    ) -> None:
        self._state, self._settings = state, settings
        self._server, self._held = server, held
        self._admin_key = admin_key.public_key(state)

    def run(self, wanted: Sequence[str]) -> Published:
        known = registry.load(self._state, self._settings)
        keys = known.live()
        for name in wanted:
            if name not in keys:
                raise ServiceFailure("keys-missing", f"there is no live key for {name} here")
        current, document = read_document(self._server, self._settings)
        registry.check_epoch(known, document.epoch)
        if document.epoch is not None:
            if self._render(document, document.epoch, keys) == current:
                make_root(self._server)
                return _published(document.epoch, keys, False, current)
        epoch = known.epoch + 1
        candidate = self._render(document, epoch, keys)
        self._validate(document, candidate, keys)
        # First here: were it second, a kill in between would make our own registry look stale.
        registry.store(self._state, dataclasses.replace(known, epoch=epoch))
        make_root(self._server)
        self._upload(current, candidate)
        self._swap(current, candidate)
        return _published(epoch, keys, True, candidate)

    def _render(self, document: Document, epoch: int, keys: dict[str, str]) -> bytes:
        lines = authorized_keys.as_restricted(keys)
        try:
            authorized_keys.check_keys(document, self._admin_key, lines)
            return authorized_keys.render(
                document, self._settings.machine, self._settings.machine_id, epoch,
                self._settings.remote_borg, lines,
            )
        except ValueError as error:
            raise ServiceFailure("publish-refused", str(error)) from error

    def _validate(self, document: Document, candidate: bytes, keys: dict[str, str]) -> None:
        """Ask ssh's own parser: it must see the foreign keys as before and each of ours."""
        seen = keypair.listed_fingerprints(candidate)
        foreign = keypair.listed_fingerprints(document.foreign)
        ours = [keypair.fingerprint(key) for key in keys.values()]
        if sorted(seen) != sorted([*foreign, *ours]):
            raise ServiceFailure("publish-refused", "ssh does not read the new file as meant")
        if keypair.fingerprint(self._admin_key) not in seen:
            raise ServiceFailure("publish-refused", "the admin key would be gone")

    def _upload(self, current: bytes, candidate: bytes) -> None:
        self._server.write(NEW, candidate)
        if self._server.read(NEW) != candidate:
            self._server.run("rm", "-f", NEW)
            raise ServiceFailure("publish-refused", "the upload came back different")
        self._must("the new file's mode cannot be set", "chmod", "600", NEW)
        self._must("the old file cannot be copied", "cp", "-p", KEYS, _BACKUP)
        if self._server.read(_BACKUP) != current:
            raise ServiceFailure("publish-refused", "someone else changed authorized_keys")

    def _swap(self, current: bytes, candidate: bytes) -> None:
        def undo(orphaned: bool) -> bool:
            return _roll_back(self._server, current, orphaned)

        with guarded(undo, self._held) as guard:
            try:
                self._must("the new file cannot be moved in place", "mv", NEW, KEYS)
                # A login of its own, and what it sees: both must hold before the guard goes.
                proof = self._server.run_apart("cat", KEYS)
                reason = "" if proof.stdout == candidate else "it does not read as published"
            except ServiceFailure as failure:
                reason = failure.detail
            verdict = guard.roll_back() if reason else guard.keep()
        if verdict is Verdict.LOST:
            raise ServiceFailure(
                "connection-failed", f"not rolled back: log in by password, put {_BACKUP} back"
            )
        if verdict is Verdict.ROLLED_BACK:
            raise ServiceFailure("publish-refused", f"rolled back: {reason or 'time was up'}")

    def _must(self, detail: str, *words: str) -> None:
        finished = self._server.run(*words)
        if finished.code != 0:
            raise refusal(finished, detail)


def _roll_back(server: Server, former: bytes, orphaned: bool) -> bool:
    """Put the old file back over the living session; answer whether it is surely there.

    `orphaned`: the service was killed, so a move of its may still be on the way, and nobody
    else removes its lock and its configuration.
    """
    run = _way_back(server)
    restored = False
    for _attempt in range(3):
        run("rm", "-f", NEW, _BACK)
        run("cp", "-p", _BACKUP, _BACK)
        # On a full disk the copy is cut; the backup itself goes back without any space.
        whole = run("cat", _BACK).stdout == former
        run("mv", _BACK if whole else _BACKUP, KEYS)
        if orphaned:
            time.sleep(1)
        restored = server.run_apart("cat", KEYS).stdout == former
        if restored:
            break
    if orphaned:
        run("rm", "-r", "-f", LOCK)
        shutil.rmtree(server.config.parent)
    return restored


def _way_back(server: Server) -> Callable[..., process.Finished]:
    """Answer how to run commands now: over the session of before, or a new one if it broke."""
    try:
        server.run("ls", "-d", KEYS)
    except ServiceFailure:
        return server.run_apart
    return server.run


def _published(epoch: int, keys: dict[str, str], changed: bool, data: bytes) -> Published:
    return Published(epoch, len(keys), changed, hashlib.sha256(data).hexdigest())
