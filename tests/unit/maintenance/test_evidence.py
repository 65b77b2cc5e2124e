"""The key's digest from a repository's own file: that of the exported key, or none."""

from pathlib import Path

import pytest

from qborg_borg import key_export
from qborg_maintenance.evidence import key_digest

EXPORT = (Path(__file__).parents[1] / "vault" / "borg-key-export.txt").read_bytes()
BODY = EXPORT.partition(b"\n")[2].strip()
CONFIG = b"[repository]\nversion = 1\nappend_only = 0\nid = ab\nkey = %s\n\n"


def _as_borg_keeps_it(body: bytes) -> bytes:
    return CONFIG % body.replace(b"\n", b"\n\t")


def test_it_is_the_digest_of_the_exported_key() -> None:
    assert key_digest(_as_borg_keeps_it(BODY)) == key_export.parse(EXPORT).digest


def test_another_key_has_another_digest() -> None:
    bent = BODY[:-5] + b"AAAA" + BODY[-1:]

    assert key_digest(_as_borg_keeps_it(bent)) not in (None, key_export.parse(EXPORT).digest)


@pytest.mark.parametrize("config", [
    b"", b"[repository]\nversion = 1\n", b"[repository]\nkey = \n", b"not a key = x\n",
    b"key=x\n", b"\0" * 1000, b"monkey = x\n",
])
def test_what_holds_no_key_has_none(config: bytes) -> None:
    assert key_digest(config) is None
