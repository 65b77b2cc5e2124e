"""The maintenance qube's settings.json: whole and matching, or a refusal."""

import json

from fuzz.target import Shape, Target, Vocabulary, scratch
from fuzz.targets import samples
from qborg_borg.slots import SLOTS
from qborg_maintenance import settings
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire import names

_SAID = Vocabulary(settings, inserts=r"settings\.json")
_PATTERNS = {
    "machine": names.MACHINE, "machine_id": names.NONCE, "host": names.HOST, "port": names.PORT,
    "account": names.ACCOUNT, "host_key": SLOTS["host_key"], "remote_borg": names.REMOTE_BORG,
}


def one(data: bytes) -> str:
    """Hold the reader to its contract for one file."""
    state = State(scratch())
    state.settings.write_bytes(data)
    try:
        found = settings.load(state)
    except ServiceFailure as failure:
        return _SAID.told(failure.detail)
    assert isinstance(found, Settings)
    for name, pattern in _PATTERNS.items():
        value = getattr(found, name)
        assert isinstance(value, str) and pattern.fullmatch(value), name
    assert found.fingerprint.startswith("SHA256:")
    settings.store(state, found)
    assert settings.load(state) == found
    return "accepted"


def _seed(host_key: str, port: str) -> bytes:
    return json.dumps({
        "machine": samples.MACHINE, "machine_id": samples.MACHINE_ID, "host": "backup.example",
        "port": port, "account": "zh1", "host_key": host_key, "remote_borg": "borg14",
    }).encode("ascii")  # fmt: skip


TARGET = Target(
    "maintenance-settings", one,
    (_seed(samples.ed25519(9), "22"), _seed(samples.RSA, "2222"), _seed(samples.ECDSA, "1")),
    (*samples.WORDS, b"machine", b"host", b"=="), Shape.JSON, 16384,
)  # fmt: skip
