"""qborg.ProveRecord: open the repository with the record alone, and read a file back.

Runs in workers. The key that the record holds must be the one that the repository holds: else it
would open nothing once that one is lost.
"""

import tempfile
from collections.abc import Mapping

from qborg_borg import command, key_export, proof
from qborg_borg.command import Access
from qborg_borg.process import run_borg
from qborg_borg.recovery_record import RecoveryRecord
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_worker import held, lender
from qborg_wire.row import Role


def handle(call: Call) -> Mapping[str, str]:
    """Answer what was found, and the digest of the record that opened it."""
    record = held.required(call.named())
    with tempfile.TemporaryDirectory(prefix="qborg-prove-") as base_dir:
        access = lender.access(record, call.text("lender"), base_dir)
        proved = proof.read_back(access, call.text("archive"))
        _compare_keys(access, record)
    return {
        "archives": str(proved.archives), "proof": proved.digest, "record": record.digest,
    }


def _compare_keys(access: Access, record: RecoveryRecord) -> None:
    outcome = run_borg(command.export_key(access), access, timeout=60)
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    try:
        there = key_export.parse(outcome.stdout)
    except key_export.ExportRefused as error:
        raise ServiceFailure("borg-failed", str(error)) from error
    if there != key_export.parse(record.values["key_export"].encode("ascii")):
        raise ServiceFailure("keys-differ", "the repository has another key than the record")


main = service("ProveRecord", Role.WORKER, handle)
