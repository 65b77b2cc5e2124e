"""A client's bundle, rendered: skeletons filled with values that were checked before.

Runs in the maintenance qube. The record holds the client's secrets and goes to that client only.
"""

import jinja2

from qborg_borg import key_export
from qborg_borg.birth import EXPORT_LIMIT
from qborg_borg.bundle import encode_bundle, match_bundle, minute_of, skeletons
from qborg_borg.key_export import KEYFILE
from qborg_borg.slots import SLOTS
from qborg_maintenance.keys import ClientKeys
from qborg_maintenance.registry import Entry
from qborg_maintenance.settings import Settings
from qborg_service.failure import ServiceFailure
from qborg_service.files import read_limited
from qborg_service.secret import Secret


def bundle(settings: Settings, entry: Entry, keys: ClientKeys) -> tuple[Secret, str]:
    """Answer the record for InstallBundle and its digest; raises internal if a value is wrong."""
    name = str(keys.repository)
    values = {
        "repository": name,
        "qube": keys.repository.qube,
        "host": settings.host,
        "port": settings.port,
        "account": settings.account,
        "host_key": settings.host_key,
        "remote_borg": settings.remote_borg,
        "passphrase": keys.passphrase().reveal().decode("ascii"),
        "private_key": keys.private_body().reveal().decode("ascii"),
        "public_key": entry.public_key,
        "minute": minute_of(keys.repository),
    }
    if keys.encryption == KEYFILE:
        values |= key_export.slots(read_limited(keys.export, EXPORT_LIMIT))
    files = fill(skeletons(keys.repository, keys.encryption), values)
    record = encode_bundle(keys.repository, files)
    # The receiver's own test: what it would refuse must not leave this qube.
    return Secret(record), match_bundle(record, keys.repository.qube).digest


def fill(texts: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Answer the texts with their slots filled; raises ServiceFailure, which names the slot."""
    for slot, value in values.items():
        if SLOTS[slot].fullmatch(value) is None:
            raise ServiceFailure("internal", f"the value of {slot} is malformed")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    return {name: environment.from_string(text).render(values) for name, text in texts.items()}
