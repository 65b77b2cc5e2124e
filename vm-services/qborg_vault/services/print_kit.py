"""qborg.PrintKit: make the printable kit of a computer's account and its repositories, here.

Runs in the vault. dom0 learns where it lies and how much is in it, nothing of what it says.
"""

from collections.abc import Mapping

from qborg_service.call import Call
from qborg_service.entry import service
from qborg_vault import printing
from qborg_vault.store import own_home, own_vault
from qborg_wire import names
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer the files' common name, how many repositories and pages they hold, what is damaged."""
    wanted = [names.parse_repository(name) for name in call.texts("repositories")]
    chosen = printing.choose(
        own_vault(), call.text("machine"), wanted, others=call.text("others") == "yes")
    pages = printing.write(own_home(), chosen, name := printing.name_of_today())
    return {
        "file": name, "repositories": str(len(chosen.repositories)), "pages": str(pages),
        "older": " ".join(chosen.older) or "none", "missing": " ".join(chosen.missing) or "none",
    }


main = service("PrintKit", Role.VAULT, handle)
