"""RegisterKey: the public key that a client made, before and after it is adopted.

Runs in the maintenance qube, which takes the client's word for nothing: dom0 says which key it is.
"""

from qborg_maintenance import keypair, keys, registration, revocation, settings
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def register_key(call: Call) -> dict[str, str]:
    """Answer the fingerprint, the quota, and the former key where a person has to remove it."""
    state, repository, key = own_state(), call.named(), call.text("public_key")
    known, former = settings.require(state), ""
    born = call.text("repository_id").replace("none", "")
    if call.text("stage") == "register":
        revocation.make_way(state, known, repository)
        changed = registration.register(state, known, repository, key, born)
    else:
        settled = registration.settle(state, known, repository, key, born)
        changed, former = settled.changed, settled.former
    entry = keys.set_quota(state, known, repository, call.text("quota"))
    return {
        "fingerprint": keypair.fingerprint(key),
        "changed": "yes" if changed else "no",
        "quota": entry.quota,
        "former": former or "none",
    }


main = service("RegisterKey", Role.MAINTENANCE, register_key)
