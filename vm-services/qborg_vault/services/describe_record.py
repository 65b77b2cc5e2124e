"""qborg.DescribeRecord: digests of the newest record that can be read, for dom0 to compare.

Runs in the vault. Nothing of the record leaves it but two digests and a time.
"""

from collections.abc import Mapping

from qborg_borg import key_export
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_vault.store import own_vault
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer what is kept, `none` if nothing is, and whether a newer one is damaged."""
    stored = own_vault().newest(call.named())
    if stored is None:
        return {"record": "none", "key": "none", "made": "0", "versions": "0", "damaged": "no"}
    newest = stored.newest
    export = newest.values.get("key_export")
    return {
        "record": newest.digest,
        "key": "none" if export is None else key_export.parse(export.encode("ascii")).digest,
        "made": str(newest.made), "versions": str(stored.versions),
        "damaged": "yes" if stored.damaged else "no",
    }


main = service("DescribeRecord", Role.VAULT, handle)
