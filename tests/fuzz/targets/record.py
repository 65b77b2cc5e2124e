"""dom0's record of a qube: a record that we could have written, or none; never an exception."""

import json
from uuid import UUID

from fuzz.target import Shape, Target, one_line
from fuzz.targets import samples
from qborg_wire.names import Repository
from qvm_borg import record

_LIMIT = 4096
_UUID = UUID("12345678-1234-5678-1234-567812345678")


def one(data: bytes) -> str:
    """Hold the parser of the feature to its contract."""
    found = record.parse(data.decode("latin-1"))
    if found is None:
        return "none"
    text = record.render(found)
    assert json.loads(text).keys() == vars(found).keys()
    assert isinstance(found.uuid, UUID) and isinstance(found.repository, Repository)
    assert one_line(found.step, 32)
    values = (*found.digests.values(), *found.times.values(), *found.notes.values())
    assert all(not value or one_line(value, 100) for value in (found.fingerprint, *values))
    # A short spelling of the uuid may have made it fit.
    if len(text) <= _LIMIT:
        assert record.parse(text) == found
    assert one_line(text, _LIMIT + 4)
    return f"accepted, {'some' if found.digests else 'no'} digests"


_FULL = record.Record(
    _UUID, Repository("dom", "work"), "prove", samples.FINGERPRINT,
    {"bundle": samples.DIGEST, "key": samples.DIGEST}, {"backup": "1760000000", "proved": "0"},
    {"archive": "work-1", "escrow": "none", "proved": record.PROOF_IN_CLIENT},
)  # fmt: skip
TARGET = Target(
    "record", one,
    tuple(record.render(each).encode("ascii")
          for each in (_FULL, record.Record(_UUID, Repository("dom", "work"), "create"))),
    (*samples.WORDS, str(_UUID).encode(), _UUID.hex.encode(), b"{" + _UUID.hex.encode() + b"}",
     b"urn:uuid:", b"enrolled", b"bundle", b"digests", b"notes", b"+1", b"1_0", b"\\u0661"),
    Shape.JSON, _LIMIT,
)  # fmt: skip
