"""qborg.DescribeClient: what this qube has, and what it sees of the server.

Runs in every qube with the package, also before dom0 switched the role on: it is what dom0
decides by. It tells versions and digests, never a value of the bundle.
"""

from collections.abc import Mapping

from qborg_borg import command, host_keys
from qborg_borg.bundle import Bundle
from qborg_client import cron, effective, generation, identity, installed, state
from qborg_client.paths import Paths, own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire import endpoint, names
from qborg_wire.row import Role

NONE = "none"
_SCAN_SECONDS = 5


def handle(call: Call) -> Mapping[str, str]:
    """Look at everything once."""
    paths = own_paths()
    bundle = _bundle(paths)
    last = state.read_last(paths)
    key = host_keys.best(call.text("host"), call.text("port"), _SCAN_SECONDS)
    return {
        "qube": identity.own_qube(),
        # Before there is a bundle, dom0 wants to know that they run.
        "borg": _told(installed.borg() if bundle else installed.version_of(command.BORG)),
        "borgmatic": _told(installed.borgmatic() if bundle
                           else installed.version_of(installed.BORGMATIC)),
        "cron": cron.state(),
        "server": "reachable" if key else "unreachable",
        "host_key": names.fingerprint(key) if key else NONE,
        "repository": NONE if bundle is None else str(bundle.repository),
        "bundle": NONE if bundle is None else bundle.digest,
        "endpoint": NONE if bundle is None else _endpoint(bundle),
        "last_success": str(last.success),
        "last_outcome": last.outcome,
    }


def _bundle(paths: Paths) -> Bundle | None:
    """Answer the installed bundle; a damaged one, or a copy's, is none, so one is delivered."""
    try:
        return None if identity.is_of_another(paths) else generation.current(paths)
    except ServiceFailure:
        return None


def _endpoint(bundle: Bundle) -> str:
    """Answer where the bundle leads to: dom0 compares it, and did not see the bundle itself."""
    return endpoint.digest(bundle.host, bundle.port, bundle.account,
                           names.fingerprint(bundle.host_key), bundle.remote_borg)


def _told(version: effective.Version | None) -> str:
    return NONE if version is None else effective.format_version(version)


main = service("DescribeClient", Role.CLIENT, handle)
