"""qborg.PrepareBundle: secrets made in this client, in a bundle beside the installed one.

Runs in clients that are their own keyholder. dom0 gets the public key only.
"""

from collections.abc import Mapping

from qborg_client import keyholder
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire import names
from qborg_wire.row import Role

_SERVER = ("host", "port", "account", "host_key", "remote_borg")


def handle(call: Call) -> Mapping[str, str]:
    """Answer the key of the next bundle, or of the installed one where nothing is to be made."""
    server = {name: call.text(name) for name in _SERVER}
    if "unknown" == server["host_key"] or "probe" == server["remote_borg"]:
        raise ServiceFailure("settings-missing", "the set-up has not come to its end")
    fresh = frozenset(name for name in ("key", "passphrase") if call.text(name) == "new")
    named = call.text("continues")
    continues = None if named == "none" else names.parse_repository(named)
    made = keyholder.prepare(
        own_paths(), call.named(), server, call.text("rotation"), fresh, continues)
    key = made.bundle.public_key
    return {
        "public_key": key,
        "fingerprint": names.fingerprint(key),
        "created": "yes" if made.created else "no",
        "state": "pending" if made.pending else "installed",
    }


main = service("PrepareBundle", Role.CLIENT, handle)
