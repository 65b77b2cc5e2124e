"""Records every program that a lab starts: the arguments and the whole environment of each.

Runs as root of the lab's user namespace, as the parent of the outermost process. It is strace; its
--seccomp-bpf would be quicker, but takes from crontab and ssh-agent the group that they run with.
"""

from __future__ import annotations

import os
from typing import NoReturn, Sequence

from .ns import NamespaceError

PROGRAM = "/usr/bin/strace"
_OPTIONS = (
    "--follow-forks", "--quiet=all", "--signal=none", "--trace=execve,execveat", "--no-abbrev",
    "--string-limit=131072",  # the kernel takes no longer argument
)  # fmt: skip


def become(record: str, command: Sequence[str]) -> NoReturn:
    """Replace this process by one that runs COMMAND and writes RECORD; raise NamespaceError.

    What is started is in RECORD before it runs. The recorder ends when the last process has.
    """
    try:
        os.execv(PROGRAM, [PROGRAM, *_OPTIONS, f"--output={record}", "--", *command])
    except FileNotFoundError as error:
        hint = "as root: apt-get install strace"
        raise NamespaceError("strace is not installed", hint) from error
