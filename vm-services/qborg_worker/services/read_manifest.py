"""qborg.ReadManifest: what dom0 said that the qube was, out of one archive.

Runs in workers. With the record alone, as whoever makes a qube again has nothing else.
"""

import json
import tempfile
from collections.abc import Mapping

from qborg_borg import archives, lender
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.reply import Progress
from qborg_wire.row import Role
from qborg_worker import held, manifest


def handle(call: Call) -> Mapping[str, str]:
    """Answer the manifest as one line of JSON, or none; of which archive; the record's digest."""
    record, archive = held.required(call.named()), call.text("archive")
    with tempfile.TemporaryDirectory(prefix="qborg-manifest-") as base_dir:
        access = lender.access(record, call.text("lender"), base_dir, held.key_file(record))
        archive = archives.named(access, archive, call.named().qube)
        found = manifest.read(
            access, archive, lambda: call.progress(Progress("read-archive", 0, 0)))
    return {
        "archive": archive, "manifest": "none" if found is None else json.dumps(found),
        "record": record.digest,
    }


main = service("ReadManifest", Role.WORKER, handle)
