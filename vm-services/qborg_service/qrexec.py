"""Call a service of another qube.

Runs where a service calls one (maintenance, vault, client). The gate must be open: dom0 opens it
for exactly this call. The other qube's answer is untrusted until parsed.
"""

import hashlib
import time

from qborg_service import process
from qborg_service.failure import ServiceFailure
from qborg_wire import reply
from qborg_wire.names import Repository
from qborg_wire.row import Service

_PROGRAM = "/usr/bin/qrexec-client-vm"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_REFUSED = 126
_MEANINGS = {
    125: "qrexec itself failed in this qube",
    _REFUSED: "refused by policy, or the qube is not running",
    127: "the package is not installed in the template of that qube",
}


def record_nonce(record: bytes) -> str:
    """Answer the nonce of a call whose request is a record."""
    return hashlib.sha256(record).hexdigest()[:32]


def call_qube(
    service: Service, repository: Repository | None, target_qube: str, record: bytes
) -> dict[str, str] | reply.Failure:
    """Send a record to a qube's service; answer its values or the failure it reports.

    A refusal is tried again for two seconds, because the policy daemon notices a new gate with
    a delay. Raises ServiceFailure delivery-failed if no well-formed reply came.
    """
    argument = "" if repository is None else str(repository)
    argv = [_PROGRAM, "--", target_qube, f"{service.full_name}+{argument}"]
    patience = time.monotonic() + 2
    while True:
        finished = _run(argv, record, service)
        refused = finished.code == _REFUSED and not finished.stdout
        if not refused or time.monotonic() > patience:
            break
        time.sleep(0.2)
    try:
        return reply.parse_reply(service, record_nonce(record), finished.stdout)
    except reply.ReplyRefused as error:
        meaning = _MEANINGS.get(finished.code, "it gave no well-formed reply")
        raise ServiceFailure("delivery-failed", f"{target_qube}: {meaning}") from error


def deliver(
    service: Service, repository: Repository, target_qube: str, record: bytes,
    field: str, digest: str,
) -> dict[str, str]:
    """Send a record to a qube that keeps it; answer its values, which name the same digest.

    `field` is the key under which the receiver tells what it has now. Raises ServiceFailure: the
    receiver's own cause, or delivery-failed.
    """
    answer = call_qube(service, repository, target_qube, record)
    if isinstance(answer, reply.Failure):
        raise ServiceFailure(answer.cause, f"{target_qube}: {answer.detail}")
    if answer[field] != digest:
        raise ServiceFailure("delivery-failed", f"{target_qube} has another {field} than was sent")
    return answer


def _run(argv: list[str], record: bytes, service: Service) -> process.Finished:
    try:
        return process.run(
            argv, stdin=record, env=_ENVIRONMENT, timeout=service.seconds, limit=service.limit
        )
    except process.ProcessError as error:
        raise ServiceFailure("delivery-failed", str(error)) from error
