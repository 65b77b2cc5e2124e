"""qborg.StoreRecord: keep one more version of a recovery record, over none.

Runs in the vault. The record is untrusted until every value of it matched; a refusal keeps
nothing and repeats nothing of it.
"""

from collections.abc import Mapping

from qborg_service.call import Call
from qborg_service.entry import service
from qborg_vault.store import own_vault
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digest of what is kept now."""
    digest, new = own_vault().add(call.record or b"", call.named(), call.caller)
    return {"record": digest, "changed": "yes" if new else "no"}


main = service("StoreRecord", Role.VAULT, handle)
