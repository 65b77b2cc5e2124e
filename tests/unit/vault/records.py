"""Good recovery records for the tests."""

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind
from qborg_wire.names import Repository
from unit.borg import bundles

WORK, KEEPER = Repository("dom", "work"), Repository("dom", "keeper")
EXPORT = "BORG_KEY " + "ab" * 32 + "\n" + "hqlhbGdvcml0aG2mc2hhMjU2\n"


def _private() -> str:
    body, _public = bundles.key_pair()
    return (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n"
            "-----END OPENSSH PRIVATE KEY-----\n")  # fmt: skip


def _common(made: int) -> dict[str, str]:
    names = ("host", "port", "account", "host_key", "remote_borg")
    good = bundles.values()
    return {"made": str(made), "nonce": "0" * 32, **{name: good[name] for name in names}}


def repository(made: int = 1764000000, about: Repository = WORK, **changes: str) -> bytes:
    """Answer the record of a client's repository, some values changed."""
    values = {
        **_common(made), "encryption": "repokey-blake2", "passphrase": bundles.PASSPHRASE,
        "private_key": _private(), "public_key": bundles.key_pair()[1], "key_export": EXPORT,
    }  # fmt: skip
    return recovery_record.encode(Kind.REPOSITORY, about, values | changes)


def account(made: int = 1764000000, about: Repository = KEEPER) -> bytes:
    """Answer the record of the account."""
    values = {**_common(made), "machine_id": "0" * 32, "epoch": "3", "private_key": _private(),
              "registry": "{}\n"}  # fmt: skip
    return recovery_record.encode(Kind.ACCOUNT, about, values)
