"""The command that dom0 gives to qrexec-client: `USER:COMMAND` or `USER:QUBESRPC …`.

Runs in the supervisor, under `qrexec`; it knows no qube.
"""

from __future__ import annotations

from lab.qrexec_run import NAME_LIMIT, Service

NOGUI = "nogui:"
CALL = "QUBESRPC"
CALL_LIMIT = 65000


class BadCommand(Exception):
    """The call does not begin; status 125 and one line for stderr."""


def parse_command(command: str) -> Service:
    """Return what to run, for a machine still to be filled in; raise BadCommand."""
    user, colon, rest = command.partition(":")
    if not colon:
        raise BadCommand("Bad command from dom0: no colon")
    rest = rest.removeprefix(NOGUI)
    if not rest.startswith(CALL):
        return Service("", user, "dom0", command=rest)
    words = rest.split(" ")
    if words[0] != CALL or len(words) != 3 or not words[1] or not words[2]:
        raise BadCommand("QUBESRPC is not followed by a service and a source")
    name, _, argument = words[1].partition("+")
    if not name or len(name) > NAME_LIMIT or len(words[1]) > CALL_LIMIT:
        raise BadCommand("Service name is empty or too long")
    return Service("", user, words[2], name, argument)
