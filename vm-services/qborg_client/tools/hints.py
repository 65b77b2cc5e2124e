"""What a person can do about each cause, said by the client's commands.

Runs in clients.
"""

import sys

from qborg_service.failure import ServiceFailure
from qborg_wire.reply import printable

_HINTS = {
    "bundle-missing": "in dom0: qvm-borg-enroll for this qube",
    "bundle-refused": "in dom0: run qvm-borg-enroll for this qube again",
    "not-this-qube": "a copy needs its own enrolment: qvm-borg-enroll in dom0",
    "borg-missing": "install borgbackup in the template, or look at the server's borg",
    "borgmatic-missing": "install borgmatic 1.8 or newer in the template",
    "locked": "wait for the other run; qvm-borg-status in dom0 tells who",
    "source-missing": "edit ~/.config/qubes-borg/patterns",
    "wrong-passphrase": "in dom0: run qvm-borg-enroll for this qube again",
    "host-key-changed": "do not go on; compare the host key with the provider's first",
    "login-refused": "in dom0: qvm-borg-enroll publishes the key again",
    "server-unreachable": "does this qube reach the network?",
    "connection-failed": "try again; then qvm-borg-check in dom0",
    "quota-exceeded": "the repository's quota is used up: raise it or prune",
    "server-full": "the account is full: buy space or prune",
    "no-space": "free some space in this qube",
}
_OTHER = "qvm-borg-check in dom0 tells more"


def tell(failure: ServiceFailure) -> int:
    """Print the error and its hint, one line each, and answer the exit code 1."""
    print(f"error: {failure.cause}: {printable(failure.detail, 300)}", file=sys.stderr)
    print(f"hint: {_HINTS.get(failure.cause, _OTHER)}", file=sys.stderr)
    return 1
