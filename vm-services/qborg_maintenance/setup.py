"""Set-up: which server, is it the one that the user confirmed, what does it offer.

Runs in the maintenance qube. Converges over several calls: the first shows the host key, one
with the confirmed key tries the login, one with a login stores the settings.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from qborg_maintenance import (
    admin_key,
    agent,
    host_keys,
    probe,
    publish,
    registry,
    settings,
    ssh_config,
)
from qborg_maintenance.keypair import fingerprint
from qborg_maintenance.server import configured, living_session, try_login
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private

UNKNOWN = "unknown"
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


def check(
    state: State, wanted: Settings, confirmed: str, repositories: Sequence[str]
) -> Findings:
    """Answer what the server offers; stores the settings when login and borg are fine.

    `wanted.remote_borg` is a name or `probe`; `confirmed` the host key's fingerprint as the
    user confirmed it, or `unknown`. Raises ServiceFailure and then stores nothing but the admin
    key.
    """
    stored = settings.load(state)
    if stored is not None and not stored.same_place(wanted):
        raise ServiceFailure("settings-differ", f"this qube is set up for {stored.host}")
    shown = host_keys.scan(wanted.host, wanted.port)
    public_key = _ensure_admin_key(state, wanted.machine)
    if confirmed == UNKNOWN:
        return Findings(public_key, fingerprint(shown[0]), "untried")
    candidate = dataclasses.replace(wanted, host_key=_matching(shown, confirmed))
    return _look(state, stored, candidate, public_key, repositories)


def _matching(shown: Sequence[str], confirmed: str) -> str:
    for key in shown:
        if fingerprint(key) == confirmed:
            return key
    raise ServiceFailure("host-key-changed", "the server shows another key than confirmed")


def prepare_login(state: State, wanted: Settings, confirmed: str) -> Settings:
    """Store what a first login needs, and answer it: these settings with the confirmed host key.

    Raises ServiceFailure as check does.
    """
    stored = settings.load(state)
    if stored is not None and not stored.same_place(wanted):
        raise ServiceFailure("settings-differ", f"this qube is set up for {stored.host}")
    shown = host_keys.scan(wanted.host, wanted.port)
    candidate = dataclasses.replace(wanted, host_key=_matching(shown, confirmed))
    _ensure_admin_key(state, wanted.machine)
    settings.store_pending(state, candidate)
    return candidate


def _ensure_admin_key(state: State, machine: str) -> str:
    with state.locked():
        return admin_key.ensure(state, machine)


def _look(
    state: State, stored: Settings | None, candidate: Settings, public_key: str,
    repositories: Sequence[str],
) -> Findings:
    with configured(candidate, state.admin_key) as server:
        if not try_login(server):
            return Findings(public_key, candidate.fingerprint, "refused")
        with living_session(server):
            name, version = probe.borg(server, candidate.remote_borg)
            probe.check_writable(server)
            publish.make_root(server)
            _data, document = publish.read_document(server, candidate)
            there = probe.existing(server, repositories)
    found = dataclasses.replace(candidate, remote_borg=name)
    with state.locked():
        known = registry.load(state, found)
        registry.check_epoch(known, document.epoch)
        if found != stored:
            _store(state, found)
    return Findings(
        public_key, found.fingerprint, "ok", name, version, document.epoch or 0,
        tuple(name for name in there if name not in known.repositories),
    )


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
