"""MakeKeys: key pair and passphrase of one client, made once or taken over; its quota.

Runs in the maintenance qube; dom0 gets the public key only.
"""

from pathlib import Path

from qborg_maintenance import adoption, keys, registry, revocation, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def make_keys(call: Call) -> dict[str, str]:
    """Answer the public key, made now or before, or taken over from the old scripts."""
    state, repository, directory = own_state(), call.named(), call.text("directory")
    known = settings.require(state)
    revocation.make_way(state, known, repository)
    if directory != "none":
        created = adoption.adopt(state, known, repository, Path(directory))
    else:
        _entry, created = keys.make(state, known, repository)
    entry = keys.set_quota(state, known, repository, call.text("quota"))
    return {
        "public_key": entry.public_key,
        "fingerprint": entry.fingerprint,
        "created": "yes" if created else "no",
        "quota": entry.quota,
        "origin": "imported" if entry.origin in registry.LEAKED else "made",
        "secrets": "forgotten" if keys.forgotten(state, repository) else "kept",
    }


main = service("MakeKeys", Role.MAINTENANCE, make_keys)
