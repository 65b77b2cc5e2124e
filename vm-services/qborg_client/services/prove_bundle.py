"""qborg.ProveBundle: read one file back with the bundle alone, then forget older bundles.

Runs in clients. It says nothing of what is in the vault: that is for a worker to prove.
"""

import tempfile
from collections.abc import Mapping

from qborg_borg import proof
from qborg_client import backup, generation, identity
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.reply import Progress
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Prove the bundle; only then the generations before it are superfluous."""
    paths = own_paths()
    bundle = generation.required(paths)
    identity.require_repository(bundle, call.named())
    with tempfile.TemporaryDirectory(prefix="qborg-prove-") as base_dir:
        access = backup.access(paths, bundle, base_dir)
        digest = proof.digest(
            access, call.text("archive"), lambda: call.progress(Progress("read-archive", 0, 0)))
    generation.drop_older(paths)
    identity.bind(paths, call.text("uuid"))
    return {"proof": digest}


main = service("ProveBundle", Role.CLIENT, handle)
