"""What the recovery records say of a client, and of the account.

Runs in the maintenance qube.
"""

from qborg_borg import record_file
from qborg_borg.record_file import Escrowed
from qborg_borg.recovery_record import Kind
from qborg_maintenance import private_key, registry
from qborg_maintenance.keys import ClientKeys
from qborg_maintenance.registry import Entry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited
from qborg_wire.names import Repository

_KEY_LIMIT, _EXPORT_LIMIT = 8192, 16384


def client(settings: Settings, entry: Entry, keys: ClientKeys) -> Escrowed:
    """Answer a client's record as it lies here, made anew if it does not say what is so.

    Raises keys-missing before the repository's birth, whose key belongs into it.
    """
    try:
        export = read_limited(keys.export, _EXPORT_LIMIT)
    except FileNotFoundError as error:
        raise ServiceFailure("keys-missing", f"{keys.repository}: it has no key yet") from error
    private = read_limited(keys.private, _KEY_LIMIT)
    return record_file.renewed(Kind.REPOSITORY, keys.repository, keys.record, _server(settings) | {
        "encryption": keys.encryption,
        "passphrase": keys.passphrase().reveal().decode("ascii"),
        "private_key": record_file.text(private),
        "public_key": entry.public_key,
        "key_export": record_file.text(export),
    })  # fmt: skip


def account(state: State, settings: Settings, own: Repository) -> Escrowed:
    """Answer the account's record: the admin key, and all that this qube knows.

    Raises keys-missing before there is an admin key.
    """
    with state.locked():
        known = registry.load(state, settings)
        try:
            private = read_limited(state.admin_key, private_key.LIMIT)
        except FileNotFoundError as error:
            raise ServiceFailure("keys-missing", "there is no admin key yet") from error
        return record_file.renewed(Kind.ACCOUNT, own, state.record, _server(settings) | {
            "machine_id": settings.machine_id,
            "epoch": str(known.epoch),
            "private_key": private_key.wrapped(private),
            "registry": known.for_record(),
        })  # fmt: skip


def _server(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name)
            for name in ("host", "port", "account", "host_key", "remote_borg")}
