"""The maintenance qube's registry.json: each entry usable as it is, or a refusal."""

import contextlib
import json

from fuzz.target import Shape, Target, Vocabulary, scratch
from fuzz.targets import samples
from qborg_maintenance import authorized_keys, keypair, registry
from qborg_maintenance.settings import Settings
from qborg_maintenance.state import State
from qborg_service.failure import ServiceFailure
from qborg_wire.key_line import restricted_line

_EPOCHS = 10**15
_SAID = Vocabulary(registry)
_SETTINGS = Settings(
    samples.MACHINE, samples.MACHINE_ID, "backup.example", "22", "zh1", samples.ed25519(9), "borg14"
)


def one(data: bytes) -> str:
    """Hold the reader to its contract for one file."""
    with contextlib.suppress(ServiceFailure):  # a record's, which is any text
        registry.of_record(_SETTINGS, data.decode("latin-1"), 3)
    state = State(scratch())
    state.registry.write_bytes(data)
    try:
        found = registry.load(state, _SETTINGS)
    except ServiceFailure as failure:
        return _SAID.told(failure.detail)
    assert (found.machine, found.machine_id) == (samples.MACHINE, samples.MACHINE_ID)
    assert type(found.epoch) is int and 0 <= found.epoch < _EPOCHS
    for entry in found.repositories.values():
        assert entry.fingerprint == keypair.fingerprint(entry.public_key)
        assert type(entry.created) is int
    live = found.live()
    for key in authorized_keys.as_restricted(live):
        assert keypair.fingerprint(key.public_key) not in found.revoked
        line = restricted_line("borg14", key.repository, key.public_key, key.quota)
        assert line.startswith('command="borg14 serve ')
    registry.store(state, found)
    assert registry.load(state, _SETTINGS) == found
    return f"accepted, {'several' if len(live) > 1 else 'few'} live"


def _seed(*names: str, revoked: tuple[str, ...] = ()) -> bytes:
    entries = {
        name: {"public_key": key, "fingerprint": keypair.fingerprint(key), "created": 1760000000}
        for name, key in zip(names, map(samples.ed25519, range(2, 9)), strict=False)
    }
    return json.dumps({
        "machine": samples.MACHINE, "machine_id": samples.MACHINE_ID, "epoch": 7,
        "repositories": entries, "revoked": list(revoked),
    }).encode("ascii")  # fmt: skip


def _short() -> bytes:
    """Answer the text in the account's record of a registry with keys and one revoked."""
    key = samples.ed25519(2)
    entry = registry.Entry(key, keypair.fingerprint(key), 1760000000, origin=registry.CLIENT,
                           next_key=samples.ed25519(3))  # fmt: skip
    return registry.Registry(samples.MACHINE, samples.MACHINE_ID, 7, {"dom-work": entry},
                             _PRINTS[1:]).for_record().encode("ascii")  # fmt: skip


_PRINTS = tuple(keypair.fingerprint(samples.ed25519(number)) for number in (2, 3, 4))
TARGET = Target(
    "registry", one,
    (_seed(), _seed("dom-work", "dom-mail"), _seed("dom-work", "dom-mail", revoked=_PRINTS[:1]),
     _short()),
    (*samples.WORDS, *(text.encode() for text in _PRINTS), b"public_key", b"fingerprint",
     b"created", b"epoch", b"dom-mail", b"dom-Mail", b"fate", b"frozen", b"repository_id",
     b"next_key"),
    Shape.JSON, 16384,
)  # fmt: skip
