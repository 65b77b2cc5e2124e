"""qborg.ProveRecord: read one file back with the bundle alone, then forget older bundles.

Runs in clients until there is a worker for it.
"""

from collections.abc import Mapping

from qborg_client import generation, identity, prove
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Prove the bundle; only then the generations before it are superfluous."""
    paths = own_paths()
    bundle = generation.required(paths)
    identity.require_repository(bundle, call.named())
    proof = prove.run(paths, bundle, call.text("archive"))
    generation.drop_older(paths)
    return {"archives": str(proof.archives), "proof": proof.digest}


main = service("ProveRecord", Role.CLIENT, handle)
