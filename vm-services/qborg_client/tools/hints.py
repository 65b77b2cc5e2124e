"""What a person can do about each cause, said by the client's commands.

Runs in clients.
"""

import sys

from qborg_service.failure import ServiceFailure, is_full
from qborg_wire.reply import printable

_HINTS = {
    "bundle-missing": "as the qube's ordinary user; not enrolled yet: qvm-borg-enroll in dom0",
    "bundle-refused": "in dom0: run qvm-borg-enroll for this qube again",
    "not-this-qube": "a copy needs its own enrolment: qvm-borg-enroll in dom0",
    "borg-missing": "install borgbackup in the template, or look at the server's borg",
    "borgmatic-missing": "install borgmatic 1.8 or newer in the template",
    "locked": "wait for the other run, or, after a cut, some two hours until the server notices; "
              "if there is no other: borgbak break-lock",
    "source-missing": "edit ~/.config/qubes-borg/patterns",
    "wrong-passphrase": "in dom0: qvm-borg-recover --repair-key QUBE; amid a rotation, which "
                        "qvm-borg-status tells: qvm-borg-enroll QUBE",
    "host-key-changed": "do not go on; compare the host key with the provider's first",
    "login-refused": "in dom0: qvm-borg-enroll publishes the key again",
    "server-unreachable": "does this qube reach the network?",
    "connection-failed": "try again; `ssh bakserver` shows what the server says",
    "quota-exceeded": "in dom0: qvm-borg-enroll QUBE --quota SIZE, a larger one or `none`; "
                      "to prune here frees nothing",
    "server-full": "the account is full: buy space; to prune here frees nothing",
    "no-space": "free some space in this qube",
    "time-out": "try again; if it stays so, ask the server's provider",
}
_OTHER = "`borgbak list` shows whether borg itself works here"


def tell(failure: ServiceFailure) -> int:
    """Print the error and its hint, one line each, and answer the exit code 1."""
    print(f"error: {failure.cause}: {printable(failure.detail, 300)}", file=sys.stderr)
    print(f"hint: {_HINTS.get(failure.cause, _OTHER)}", file=sys.stderr)
    return 1


def as_failure(error: OSError | ServiceFailure) -> ServiceFailure:
    """Answer what the system refused as any other failure."""
    if isinstance(error, ServiceFailure):
        return error
    where = f"{error.filename}: " if error.filename else ""
    return ServiceFailure("no-space" if is_full(error) else "internal", f"{where}{error.strerror}")


def tell_system(error: OSError) -> int:
    """Print what the system refused, as any other failure, and answer the exit code 1."""
    return tell(as_failure(error))
