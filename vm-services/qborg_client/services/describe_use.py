"""qborg.DescribeUse: does anybody use this qube, which dom0 has started and would halt again?

Runs in clients. It tells one program's name, so that a person learns why the qube stays on.
"""

from collections.abc import Mapping

from qborg_client import use
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_wire.row import Role


def handle(_call: Call) -> Mapping[str, str]:
    """Look until nobody uses it, for some seconds."""
    return {"used_by": use.settled()}


main = service("DescribeUse", Role.CLIENT, handle)
