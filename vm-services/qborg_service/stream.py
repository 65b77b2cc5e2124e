"""The frame of a service that is another program's conversation: checked, then that program's own.

Runs in a qube that lends something. There is no request and no reply: what goes wrong before the
program begins is one line on stderr, which the caller may show and nobody parses.
"""

import os
import sys
import syslog
from collections.abc import Callable

from qborg_service import qubesdb
from qborg_service.failure import ServiceFailure
from qborg_wire import names
from qborg_wire.names import Repository
from qborg_wire.reply import printable
from qborg_wire.row import Role
from qborg_wire.services import SERVICES

Converse = Callable[[str, Repository], int]


def stream(name: str, role: Role, converse: Converse) -> Callable[[], int]:
    """Answer the `main` of a service; `converse` gets the caller and the repository.

    It answers the program's exit code; 1 is a refusal of ours.
    """
    row = SERVICES[name]
    if role not in row.callees or not row.stream:
        raise ValueError(f"{name} is no conversation of {role.value}")

    def main() -> int:
        os.umask(0o077)
        try:
            return converse(*_call(role))
        except ServiceFailure as failure:
            syslog.syslog(syslog.LOG_NOTICE, f"{row.full_name}: {failure.cause}")
            print(f"{row.full_name}: {failure.cause}: {printable(failure.detail)}", file=sys.stderr)
            return 1

    return main


def _call(role: Role) -> tuple[str, Repository]:
    try:
        caller = names.parse_qube(os.environ.get("QREXEC_REMOTE_DOMAIN", ""))
        repository = names.parse_repository(os.environ.get("QREXEC_SERVICE_ARGUMENT", ""))
    except names.NameRefused as error:
        raise ServiceFailure("bad-request", "a qube asks for one repository") from error
    if not qubesdb.role_is_on(role.value):
        raise ServiceFailure("not-this-role", f"this qube is no {role.value} qube")
    return caller, repository
