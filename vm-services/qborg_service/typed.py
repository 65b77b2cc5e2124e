"""What a person types: a password at a terminal, or through a descriptor where a script does it.

Runs in every qube with a command of ours. It is a Secret from the first moment on, and stays in
the qube where it was typed.
"""

import getpass

from qborg_service.failure import ServiceFailure
from qborg_service.secret import Secret

LIMIT = 1024  # bytes of one password


def terminal(question: str) -> Secret:
    """Ask at the controlling terminal, without an echo; raises password-awaited without one."""
    try:
        return one_line(getpass.getpass(question, stream=None).encode("utf-8", "surrogateescape"))
    except (EOFError, OSError) as error:
        raise ServiceFailure("password-awaited", "there is no terminal to type it at") from error


def descriptor(number: int) -> Secret:
    """Read the first line of an inherited descriptor; raises password-awaited if there is none."""
    try:
        with open(number, "rb", closefd=False) as stream:
            return one_line(stream.readline(LIMIT + 1))
    except OSError as error:
        raise ServiceFailure("password-awaited", "that descriptor cannot be read") from error


def one_line(line: bytes) -> Secret:
    """Answer the password of one line; raises password-awaited for none, or for more."""
    password = line.removesuffix(b"\n")
    # More than one line would be an answer to a question that was not asked yet.
    if not password or len(password) > LIMIT or any(byte in password for byte in b"\r\n\0"):
        raise ServiceFailure("password-awaited", "nothing was typed, or more than one line")
    return Secret(password)
