"""Borg's own form of a key for paper: numbered lines of hex, each with a check.

The form is that of `borg key export --paper` (borg 1.2 and 1.4), so that `borg key import --paper`
reads what a person types off the kit; a test compares it with borg's.
"""

import binascii
import hashlib

_BYTES = 18  # of the key in one line


def lines(export: str) -> list[str]:
    """Answer the lines of an exported key: the one that begins with `id:` and the numbered ones."""
    header, _newline, body = export.partition("\n")
    repository_id = header.split()[1]
    key = binascii.a2b_base64("".join(body.split()))
    count = (len(key) + _BYTES - 1) // _BYTES
    head, whole = repository_id[:18], _check(key, 12)
    check = _check(f"{count}/{head}/{whole}".encode("ascii"), 2)
    paper = [f"id: {count:d} / {grouped(head)} / {grouped(whole)} - {check}"]
    for number in range(count):
        part = key[number * _BYTES : (number + 1) * _BYTES]
        check = _check((number + 1).to_bytes(2, "big") + part, 2)
        paper.append(f"{number + 1:2d}: {grouped(part.hex())} - {check}")
    return paper


def grouped(text: str, size: int = 6) -> str:
    """Answer the text with a space after each `size` characters."""
    return " ".join(text[start : start + size] for start in range(0, len(text), size))


def _check(data: bytes, digits: int) -> str:
    return hashlib.sha256(data).hexdigest()[:digits]
