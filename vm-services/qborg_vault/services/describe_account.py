"""qborg.DescribeAccount: what is public of a computer's account, by the newest readable record.

Runs in the vault. dom0 compares it with its settings, or has a person confirm it where it has none.
"""

from collections.abc import Mapping

from qborg_borg.recovery_record import RecoveryRecord
from qborg_service.call import Call
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_vault.store import Vault, own_vault
from qborg_wire import names
from qborg_wire.row import Role

ANY = "*"
_PUBLIC = ("machine_id", "host", "port", "account", "remote_borg", "epoch")


def find(vault: Vault, machine: str) -> RecoveryRecord:
    """Answer the newest record of a computer's account, or of the only one there is.

    Raises account-missing, accounts-several.
    """
    machines = vault.machines()
    if machine == ANY and len(machines) > 1:
        raise ServiceFailure("accounts-several", " ".join(machines))
    record = vault.account(*machines) if machine == ANY and machines else vault.account(machine)
    if record is None:
        raise ServiceFailure("account-missing", "-" if machine == ANY else f"of {machine}")
    return record


def handle(call: Call) -> Mapping[str, str]:
    """Answer what is public of it."""
    record = find(vault := own_vault(), call.text("machine"))
    stored = vault.newest(record.repository)
    return {name: record.values[name] for name in _PUBLIC} | {
        "machine": record.repository.machine, "maintenance": record.repository.qube,
        "host_key": names.fingerprint(record.values["host_key"]), "record": record.digest,
        "damaged": "yes" if stored and stored.damaged else "no",
    }  # fmt: skip


main = service("DescribeAccount", Role.VAULT, handle)
