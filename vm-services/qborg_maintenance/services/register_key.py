"""RegisterKey: the public key that a client made, before and after it is adopted.

Runs in the maintenance qube, which takes the client's word for nothing: dom0 says which key it is.
"""

from qborg_maintenance import (
    keypair, keys, registration, registry, replacement, revocation, settings, succession,
)
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire import names
from qborg_wire.row import Role


def register_key(call: Call) -> dict[str, str]:
    """Answer the fingerprint, the quota, and whether the passphrase was imported."""
    state, repository, key = own_state(), call.named(), call.text("public_key")
    known, stage = settings.require(state), call.text("stage")
    born, continues, former = (
        text if (text := call.text(name)) != "none" else ""
        for name in ("repository_id", "continues", "former"))
    if stage == "register" and continues:
        changed = succession.continue_with(
            state, known, repository, key, names.parse_repository(continues), born)
    elif stage == "register" and former:
        changed = replacement.begin(
            state, known, repository, key, names.parse_repository(former), born)
    elif stage == "register":
        revocation.make_way(state, known, repository)
        changed = registration.register(state, known, repository, key, born)
    elif stage == "aside":
        changed = replacement.make_room(state, known, repository, names.parse_repository(former))
    else:
        changed = registration.settle(
            state, known, repository, key, born, renewed=stage == "renew")
    entry = keys.set_quota(state, known, repository, call.text("quota"))
    return {
        "fingerprint": keypair.fingerprint(key),
        "changed": "yes" if changed else "no",
        "quota": entry.quota,
        "leaked": "yes" if entry.origin in registry.LEAKED else "no",
    }


main = service("RegisterKey", Role.MAINTENANCE, register_key)
