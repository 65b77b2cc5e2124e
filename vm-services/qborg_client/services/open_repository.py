"""qborg.OpenRepository: the repository opens by the bundle that is being prepared.

Runs in clients that are their own keyholder: it is made, found again, or its key is put under the
new passphrase.
"""

from collections.abc import Mapping

from qborg_borg import birth
from qborg_client import keyholder
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the repository's id, the digest of its key, and where that is."""
    export, created, encryption = keyholder.open_repository(
        own_paths(), call.named(), call.text("encryption"), call.text("repository") == "new")
    exported = birth.parse_export(export)
    return {
        "repository_id": exported.repository_id,
        "key_digest": exported.digest,
        "created": "yes" if created else "no",
        "encryption": encryption,
    }


main = service("OpenRepository", Role.CLIENT, handle)
