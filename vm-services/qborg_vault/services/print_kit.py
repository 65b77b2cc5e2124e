"""qborg.PrintKit: make the printable kit in the vault; nothing of it leaves it.

Runs in the vault.
"""

from collections.abc import Mapping

from qborg_service.call import Call
from qborg_service.entry import service
from qborg_vault.kit import press
from qborg_vault.store import own_vault
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the kit's name and how many repositories stand in it."""
    printed = press.make(own_vault(), call.texts("repositories"))
    return {"name": printed.name, "repositories": str(printed.repositories)}


main = service("PrintKit", Role.VAULT, handle)
