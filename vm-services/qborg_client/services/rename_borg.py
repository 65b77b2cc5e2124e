"""qborg.RenameBorg: the installed bundle with another name of the server's borg, all else the same.

Runs in clients. Once the maintenance qube has forgotten a client's secrets it cannot make the
bundle anew, and this one value is no secret.
"""

from collections.abc import Mapping

from qborg_borg import bundle
from qborg_client import generation, identity, installation
from qborg_client.paths import own_paths
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Make the bundle of that name the current one; the former stays until a proof."""
    paths = own_paths()
    installed = generation.required(paths)
    identity.require_repository(installed, call.named())
    renamed = bundle.with_values(installed, {"remote_borg": call.text("remote_borg")})
    changed, _aside = installation.apply(paths, renamed)
    return {"bundle": renamed.digest, "changed": "yes" if changed else "no"}


main = service("RenameBorg", Role.CLIENT, handle)
