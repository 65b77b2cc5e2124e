"""RevokeKeys: one client's key out of use for ever; after the publication, what it leaves.

Runs in the maintenance qube, twice for each revocation. dom0 gets the public key only.
"""

from qborg_maintenance import registry, revocation, settings
from qborg_maintenance.revocation import Revoked
from qborg_maintenance.state import own_state
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.key_line import NO_QUOTA
from qborg_wire.reply import Progress
from qborg_wire.row import Role

_FATES = {"keep": None, "yes": registry.FROZEN, "no": registry.KEPT}


def revoke_keys(call: Call) -> dict[str, str]:
    """Answer what is so now; a repository that is not known has no key."""
    found = _found(call)
    entry = found.entry
    return {
        "public_key": entry.public_key if entry else "none",
        "fingerprint": entry.fingerprint if entry else "none",
        "quota": entry.quota if entry else NO_QUOTA,
        "changed": "yes" if found.changed else "no",
        "key": found.key,
        "secrets": found.secrets,
        "repository": found.repository,
    }


def _found(call: Call) -> Revoked:
    state, repository = own_state(), call.named()
    known, delete = settings.require(state), call.text("repository") == "delete"
    if call.text("stage") == "mark":
        fate = _FATES[call.text("quarantine")]
        return revocation.mark(state, known, repository, fate, delete)

    def works() -> None:
        call.progress(Progress("delete-repository", 0, 0))

    forget = call.text("secrets") == "remove"
    return revocation.finish(state, known, repository, forget, delete, works)


main = service("RevokeKeys", Role.MAINTENANCE, revoke_keys)
