"""qborg.CopyRecord: what opens a repository that was moved aside, by the name that it has now.

Runs in the vault. Nobody but dom0 can order it; dom0 sees two digests, and the secrets stay here.
"""

from collections.abc import Mapping

from qborg_borg import key_export
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_vault.store import own_vault
from qborg_wire import names
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the digests of what is kept by the former repository's name, and of its key."""
    former = names.parse_repository(call.text("former"))
    kept, new = own_vault().copy(call.named(), call.text("record"), former)
    export = key_export.parse(kept.values["key_export"].encode("ascii"))
    return {"record": kept.digest, "key": export.digest, "changed": "yes" if new else "no"}


main = service("CopyRecord", Role.VAULT, handle)
