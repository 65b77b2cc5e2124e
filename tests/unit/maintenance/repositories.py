"""Repositories in a directory: one that borg 1.4.0 wrote, at each of its moments, and made ones.

The golden one lived under `borg serve --append-only`: two archives, `borg delete` of the first,
`borg compact`, `borg delete` of the second. Indexes are empty here: only their names count.
"""

import base64
import json
import struct
from pathlib import Path

GOLDEN = json.loads(Path(__file__).with_name("borg-repository.json").read_text(encoding="ascii"))
# The newest transaction at each moment, and the deletion that is the newest then.
BORN, FIRST, SECOND, DELETED, COMPACTED, EMPTIED = 1, 5, 9, 13, 16, 20
ID = "a" * 64
CONFIG = f"[repository]\nversion = 1\nsegments_per_dir = 1000\nid = {ID}\nkey = x\n\ty\n"
MANIFEST, ONE, TWO = bytes(32), b"\1" * 32, b"\2" * 32


def write(top: Path, path: str, data: bytes) -> None:
    """Write a file of a repository."""
    (top / path).parent.mkdir(parents=True, exist_ok=True)
    (top / path).write_bytes(data)


def golden(top: Path, until: int = EMPTIED) -> None:
    """Lay borg's own repository there as it was at a transaction."""
    for path, text in GOLDEN.items():
        number = path.rpartition("/")[2]
        data = base64.b64decode(text)
        if path == "transactions":
            lines = data.splitlines(keepends=True)
            data = b"".join(line for line in lines if int(line.split()[1].rstrip(b",")) <= until)
        if not (number.isdigit() and int(number) > until or path.startswith("index")
                or path == "transactions" and not data):
            write(top, path, data)
    write(top, f"index.{until}", b"")


def deletes(*names: bytes) -> bytes:
    """Answer a segment that deletes these."""
    return b"BORG_SEG" + b"".join(struct.pack("<IIB", 0, 41, 1) + name for name in names)


def puts(name: bytes, size: int = 100) -> bytes:
    """Answer a segment that adds one entry."""
    return b"BORG_SEG" + struct.pack("<IIB", 0, 41 + size, 0) + name + bytes(size)


def made(top: Path, *segments: bytes) -> None:
    """Lay a repository there with these segments from 2 on, the newest of which commits."""
    write(top, "config", CONFIG.encode("ascii"))
    for number, data in enumerate((puts(MANIFEST), b"BORG_SEG", *segments)):
        write(top, f"data/{number // 1000}/{number}", data)
    newest = len(segments) + 1
    write(top, f"index.{newest}", b"")
    if segments:
        write(top, "transactions",
              b"transaction %d, UTC time 2026-01-31T12:00:00.000001\n" % newest)
