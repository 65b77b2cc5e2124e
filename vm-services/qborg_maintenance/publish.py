"""Publishing: the server's authorized_keys changed so that nobody can be locked out.

Runs in the maintenance qube with the admin key. Read, rendered, checked, uploaded beside, read
back, swapped under a guard, proved by a login of its own; else the old file is put back. What
another person writes meanwhile is noticed and stays, but for one who replaces the whole file in
the instant between our last look and the swap: no command of the account could tell.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from qborg_maintenance import admin_key, authorized_keys, awaited, keypair, registry
from qborg_maintenance.authorized_keys import Document, KeysRefused, OtherComputer
from qborg_maintenance.connection import refusal
from qborg_maintenance.files import KEYS, ROOT
from qborg_maintenance.guard import Verdict, guarded
from qborg_maintenance.provider import AWAITED
from qborg_maintenance.remote_lock import Lock, remote_lock
from qborg_maintenance.server import Server, configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_maintenance.swap import MEANWHILE, Swap
from qborg_maintenance.way_back import FORMER, WayBack
from qborg_service.failure import ServiceFailure

Keys = Mapping[str, Sequence[str]]  # repository: its public keys


@dataclass(frozen=True)
class Published:
    """What stands on the server now: epoch and number of our keys, digest of the whole file.

    `awaited` are the repositories whose line somebody else has still to add.
    """

    epoch: int
    keys: int
    changed: bool
    digest: str
    awaited: tuple[str, ...] = ()


def read_document(server: Server, settings: Settings) -> tuple[bytes, Document]:
    """Answer the server's file and its parts; raises publish-refused or machine-taken."""
    data = server.files.read(KEYS)
    if data is None:
        raise ServiceFailure("publish-refused", f"the server does not show {KEYS}")
    try:
        return data, authorized_keys.parse(data, settings.machine, settings.machine_id)
    except OtherComputer as error:
        raise ServiceFailure("machine-taken", str(error)) from error
    except KeysRefused as error:
        raise ServiceFailure("publish-refused", str(error)) from error


def publish(
    state: State, settings: Settings, wanted: Sequence[str], waits: Callable[[], None],
    tries: Callable[[], None],
) -> Published:
    """Bring the registry's live keys onto the server; raises ServiceFailure, then unchanged.

    Every repository in `wanted` must be among them. `waits` is called while another computer
    publishes. A list of keys that is not ours to write is only looked at: the answer tells which
    of `wanted` it lacks, and `tries` is called again and again while their keys are tried.
    """
    if settings.keys == AWAITED:
        with state.locked():
            live = registry.load(state, settings).live()
            _require(wanted, live)
            lacking = awaited.lacking(state, settings, wanted, tries)
        return dataclasses.replace(_published(0, live, False, b""), awaited=lacking)
    with (
        state.locked() as own, configured(settings, state.admin_key) as server,
        living_session(server) as session,
        remote_lock(server, settings.machine_id, waits) as lock,
    ):
        return _Publication(state, settings, lock, (own, session)).run(wanted)


def make_root(server: Server) -> None:
    """Make the account's directory of all repositories unless it is there."""
    if not server.files.exists(ROOT):
        made = server.files.make_directory(ROOT)
        if made.code != 0:
            raise refusal(made, f"the directory {ROOT} cannot be made", "account-unwritable")


def _require(wanted: Sequence[str], keys: Collection[str]) -> None:
    for name in wanted:
        if name not in keys:
            raise ServiceFailure("keys-missing", f"there is no live key for {name} here")


def _less_foreign(keys: Keys, document: Document, wanted: Sequence[str]) -> Keys:
    try:
        return authorized_keys.less_foreign(keys, document, wanted)
    except KeysRefused as error:
        raise ServiceFailure("publish-refused", str(error)) from error


class _Publication:
    def __init__(
        self, state: State, settings: Settings, lock: Lock, held: tuple[int, ...]
    ) -> None:
        self._state, self._settings = state, settings
        self._server, self._lock, self._held = lock.server, lock, held
        self._admin_key = admin_key.public_key(state)
        self._quotas: dict[str, str] = {}

    def run(self, wanted: Sequence[str]) -> Published:
        known = registry.load(self._state, self._settings)
        keys = known.live()
        _require(wanted, keys)
        current, document = read_document(self._server, self._settings)
        document = authorized_keys.without_old_lines(document, known.former())
        keys = _less_foreign(keys, document, wanted)
        self._quotas = known.quotas()
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
        swap = Swap(self._lock, current, candidate)
        swap.upload()
        self._guarded(swap)
        return _published(epoch, keys, True, candidate)

    def _render(self, document: Document, epoch: int, keys: Keys) -> bytes:
        lines = authorized_keys.as_restricted(keys, self._quotas)
        try:
            authorized_keys.check_keys(document, self._admin_key, lines)
            return authorized_keys.render(
                document, self._settings.machine, self._settings.machine_id, epoch,
                self._settings.remote_borg, lines,
            )
        except ValueError as error:
            raise ServiceFailure("publish-refused", str(error)) from error

    def _validate(self, document: Document, candidate: bytes, keys: Keys) -> None:
        """Ask ssh's own parser: it must see the foreign keys as before and each of ours."""
        seen = keypair.listed_fingerprints(candidate)
        foreign = keypair.listed_fingerprints(document.foreign)
        ours = [keypair.fingerprint(key) for each in keys.values() for key in each]
        if sorted(seen) != sorted([*foreign, *ours]):
            raise ServiceFailure("publish-refused", "ssh does not read the new file as meant")
        if keypair.fingerprint(self._admin_key) not in seen:
            raise ServiceFailure("publish-refused", "the admin key would be gone")

    def _guarded(self, swap: Swap) -> None:
        with guarded(WayBack(self._lock, swap.current, swap.candidate).go, self._held) as guard:
            failure, theirs = swap.move_and_prove()
            verdict = guard.roll_back() if failure else guard.keep()
        if verdict is Verdict.LOST:
            raise ServiceFailure(
                "connection-failed", f"not rolled back: log in by password, put {FORMER} back"
            )
        if verdict is Verdict.ROLLED_BACK:
            why = failure.detail if failure else "time was up"
            raise ServiceFailure("publish-refused", f"rolled back: {why}")
        if theirs:
            raise ServiceFailure("list-changed", f"{MEANWHILE} after us; it stays theirs")


def _published(epoch: int, keys: Keys, changed: bool, data: bytes) -> Published:
    return Published(epoch, sum(map(len, keys.values())), changed, hashlib.sha256(data).hexdigest())
