"""How a handler refuses: a cause of the contract and one line for a person.

Runs in every qube with a service. Knows the causes; must not know secrets: the detail travels to
dom0 and to the log.
"""

import errno

from qborg_wire.causes import CAUSES

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class ServiceFailure(Exception):
    """The service could not do what it was asked, and says so in its reply."""

    def __init__(self, cause: str, detail: str) -> None:
        """Keep the cause, one word of CAUSES, and the detail, which the reply cuts at 120."""
        if cause not in CAUSES:
            raise ValueError("a cause that the contract does not know")
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail


def is_full(error: OSError) -> bool:
    """Tell whether the system refused for want of space in this qube."""
    return error.errno in _FULL
