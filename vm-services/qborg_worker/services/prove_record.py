"""qborg.ProveRecord: open the repository with the record alone, and read a file back.

Runs in workers. The key that the record holds must be the one that the repository holds: else it
would open nothing once that one is lost.
"""

import hashlib
import tempfile
from collections.abc import Mapping

from qborg_borg import lender, proof
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.reply import Progress
from qborg_wire.row import Role
from qborg_worker import held, manifest, repository_key


def handle(call: Call) -> Mapping[str, str]:
    """Answer what was found, and the digest of the record that opened it."""
    record = held.required(call.named())

    def works() -> None:
        call.progress(Progress("read-archive", 0, 0))

    with tempfile.TemporaryDirectory(prefix="qborg-prove-") as base_dir:
        access = lender.access(record, call.text("lender"), base_dir, held.key_file(record))
        proved = proof.listed(access, call.text("archive"), works)
        found = manifest.read(access, call.text("archive"), works)
        if found == manifest.NO_TEXT:
            raise ServiceFailure("source-missing", "the archive's manifest is no plain text")
        if not repository_key.is_escrowed(access, record):
            raise ServiceFailure("keys-differ", "the repository has another key than the record")
    return {
        "archives": str(proved.archives), "proof": proved.digest, "record": record.digest,
        "manifest": "none" if found is None else hashlib.sha256(found.encode("ascii")).hexdigest(),
    }


main = service("ProveRecord", Role.WORKER, handle)
