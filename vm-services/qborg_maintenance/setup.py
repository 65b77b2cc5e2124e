"""Set-up: which server, is it the one that the user confirmed, what does it offer.

Runs in the maintenance qube. Converges over several calls: the first shows the host key, one
with the confirmed key tries the login, one with a login stores the settings.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from qborg_borg import host_keys
from qborg_maintenance import (
    admin_key,
    agent,
    probe,
    publish,
    recovery,
    registry,
    settings,
    ssh_config,
)
from qborg_maintenance.authorized_keys import Document
from qborg_maintenance.keypair import fingerprint
from qborg_maintenance.provider import AWAITED, BORG
from qborg_maintenance.server import Server, configured, living_session
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private

UNKNOWN = "unknown"
_SCAN_SECONDS = 15
_OCCUPIED_LIMIT = 2000  # characters; the reply's field


@dataclass(frozen=True)
class Findings:
    """What a check found; `login` is ok, refused or untried, and without ok the rest is empty."""

    admin_key: str
    host_key: str
    login: str
    remote_borg: str = "none"
    borg: str = "none"
    epoch: int = 0
    occupied: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    offered: Settings | None = None


def check(
    state: State, wanted: Settings, confirmed: str, repositories: Sequence[str], anew: bool
) -> Findings:
    """Answer what the server offers; stores the settings when login and borg are fine.

    Unless `anew`, the account must offer what the set-up recorded, else access-changed.

    `wanted.remote_borg` is a name or `probe`; `confirmed` the host key's fingerprint as the
    user confirmed it, or `unknown`. Raises ServiceFailure and then stores nothing but the admin
    key.
    """
    stored = settings.load(state)
    if stored is not None and not stored.same_place(wanted):
        raise ServiceFailure("settings-differ", f"this qube is set up for {stored.host}")
    _check_provider(wanted)
    shown = _shown(wanted, confirmed)
    public_key = _ensure_admin_key(state, wanted.machine)
    if confirmed == UNKNOWN:
        return Findings(public_key, fingerprint(shown), "untried")
    candidate = dataclasses.replace(wanted, host_key=shown)
    return _look(state, None if anew else stored, candidate, public_key, repositories)


def _check_provider(wanted: Settings) -> None:
    row = wanted.provider
    if row.unusable:
        raise ServiceFailure("account-unusable", f"{row.name}: {row.unusable}")
    if row.port not in (None, wanted.port):
        raise ServiceFailure("borg-missing", f"{row.name} has it at port {row.port} only")


def _shown(wanted: Settings, confirmed: str) -> str:
    """Answer the host key that was confirmed, or the best one as long as none is."""
    if confirmed != UNKNOWN:
        return host_keys.of_fingerprint(wanted.host, wanted.port, confirmed, _SCAN_SECONDS)
    best = host_keys.best(wanted.host, wanted.port, _SCAN_SECONDS)
    if best is None:
        raise ServiceFailure("server-unreachable", "it shows no ssh host key")
    return best


def prepare_login(state: State, wanted: Settings, confirmed: str) -> Settings:
    """Store what a first login needs, and answer it: these settings with the confirmed host key.

    Raises ServiceFailure as check does.
    """
    stored = settings.load(state)
    if stored is not None and not stored.same_place(wanted):
        raise ServiceFailure("settings-differ", f"this qube is set up for {stored.host}")
    candidate = dataclasses.replace(wanted, host_key=_shown(wanted, confirmed))
    _ensure_admin_key(state, wanted.machine)
    settings.store_pending(state, candidate)
    return candidate


def _ensure_admin_key(state: State, machine: str) -> str:
    with state.locked():
        return admin_key.ensure(state, machine)


def _look(
    state: State, recorded: Settings | None, candidate: Settings, public_key: str,
    repositories: Sequence[str],
) -> Findings:
    with configured(candidate, state.admin_key) as server:
        access = probe.access(server.apart())
        if access is None:
            return Findings(public_key, candidate.fingerprint, "refused")
        server = dataclasses.replace(server, access=access)
        # Of a command that was stopped the service may still look, by the same names.
        with state.locked("probe-lock"):
            found, version, read, there = _probe(server, candidate, public_key, repositories)
    if recorded is not None and (found.access, found.keys) != (recorded.access, recorded.keys):
        raise ServiceFailure("access-changed", f"{_words(found)} now, not {_words(recorded)}")
    with state.locked():
        known, epoch = registry.load(state, found), None
        if read is not None:
            known, epoch = recovery.with_block(state, found, known, read), read.epoch
        registry.check_epoch(known, epoch)
        if found != settings.load(state):
            _store(state, found)
    existing = known.existing()
    revoked = {name: entry.fate for name, entry in existing.items() if known.is_revoked(entry)}
    return Findings(
        public_key, found.fingerprint, "ok", found.remote_borg, version, epoch or 0,
        tuple(name for name in there if name not in existing),
        tuple(name for name in repositories if name in revoked
              and (name in there or revoked[name] == registry.FROZEN)), found,
    )


def _probe(
    server: Server, candidate: Settings, public_key: str, repositories: Sequence[str]
) -> tuple[Settings, str, Document | None, Sequence[str]]:
    """Answer the settings as found, borg's version, the list of keys if ours, what lies there."""
    row = candidate.provider
    if server.access == BORG:
        name, version = probe.borg(server.apart(), row, candidate.remote_borg)
        found = dataclasses.replace(candidate, remote_borg=name, access=BORG, keys=AWAITED)
        return found, version, None, ()
    with living_session(server):
        name, version = probe.borg(server, row, candidate.remote_borg)
        publish.make_root(server)
        probe.check_writable(server, candidate.machine_id)
        found = dataclasses.replace(
            candidate, remote_borg=name, access=server.access,
            keys=probe.key_list(server, public_key, candidate.machine_id),
            snapshots=probe.snapshots(server, row),
        )
        read = None if found.keys == AWAITED else publish.read_document(server, candidate)[1]
        return found, version, read, probe.existing(server, repositories)


def _words(offered: Settings) -> str:
    return f"access {offered.access}, key list {offered.keys}"


def _store(state: State, found: Settings) -> None:
    holder = str(agent.socket()) if admin_key.outline(state.admin_key).encrypted else agent.NO_AGENT
    block = ssh_config.block(ssh_config.ADMIN, found, state.admin_key, state.known_hosts, holder)
    write_private(state.known_hosts, ssh_config.known_hosts(found).encode("ascii"))
    write_private(state.ssh_config, block.encode("ascii"))
    settings.store(state, found)


def listed(repositories: Sequence[str]) -> str:
    """Answer the names in one line as the reply holds them; what exceeds the field is left off."""
    line = ""
    for name in repositories:
        if len(line) + len(name) + 1 > _OCCUPIED_LIMIT:
            break
        line = f"{line} {name}" if line else name
    return line or "none"
