"""Borg's own form of a key for paper: numbered lines of hex, each with a check.

The form is that of `borg key export --paper` (borg 1.2 and 1.4), so that `borg key import --paper`
reads what a person types off the kit; a test compares it with borg's.
"""

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Sequence

_BYTES = 18  # of the key in one line
_HEX = "[0-9a-f](?:[0-9a-f ]*[0-9a-f])?"
_HEAD = re.compile(rf"id: *([1-9][0-9]{{0,2}}) */ *({_HEX}) */ *({_HEX}) *- *([0-9a-f]{{2}})")
_LINE = re.compile(rf"([1-9][0-9]{{0,2}}): *({_HEX}) *- *([0-9a-f]{{2}})")


class LineRefused(ValueError):
    """A line whose check does not fit it."""


def lines(export: str) -> list[str]:
    """Answer the lines of an exported key: the one that begins with `id:` and the numbered ones."""
    repository_id, key = parts(export)
    count = (len(key) + _BYTES - 1) // _BYTES
    head, whole = repository_id[:18], _check(key, 12)
    check = _check(f"{count}/{head}/{whole}".encode("ascii"), 2)
    paper = [f"id: {count:d} / {grouped(head)} / {grouped(whole)} - {check}"]
    for number in range(count):
        part = key[number * _BYTES : (number + 1) * _BYTES]
        check = _check((number + 1).to_bytes(2, "big") + part, 2)
        paper.append(f"{number + 1:2d}: {grouped(part.hex())} - {check}")
    return paper


def parts(export: str) -> tuple[str, bytes]:
    """Answer the repository's id and the key itself of an exported key."""
    header, _newline, body = export.partition("\n")
    return header.split()[1], binascii.a2b_base64("".join(body.split()))


def read_head(untrusted_line: str) -> tuple[int, str] | None:
    """Answer how many lines follow the one with the id, and what it says; None for no such line.

    Raises LineRefused.
    """
    match = _HEAD.fullmatch(untrusted_line)
    if match is None:
        return None
    said = "/".join("".join(match[group].split()) for group in (1, 2, 3))
    if match[4] != _check(said.encode("ascii"), 2):
        raise LineRefused
    return int(match[1]), said


def read_line(untrusted_line: str) -> tuple[int, str] | None:
    """Answer number and hex of a numbered line, None for no such line; raises LineRefused."""
    match = _LINE.fullmatch(untrusted_line)
    if match is None:
        return None
    number, part = int(match[1]), "".join(match[2].split())
    if len(part) % 2 or match[3] != _check(number.to_bytes(2, "big") + bytes.fromhex(part), 2):
        raise LineRefused
    return number, part


def export_of(repository_id: str, head: str, key: str) -> str:
    """Answer the exported key that is spelt by these, as borg writes it; raises LineRefused."""
    data = bytes.fromhex(key)
    count = (len(data) + _BYTES - 1) // _BYTES
    if head != f"{count}/{repository_id[:18]}/{_check(data, 12)}":
        raise LineRefused
    body: Sequence[str] = textwrap.wrap(base64.b64encode(data).decode("ascii"))
    return "\n".join((f"BORG_KEY {repository_id}", *body, ""))


def grouped(text: str, size: int = 6) -> str:
    """Answer the text with a space after each `size` characters."""
    return " ".join(text[start : start + size] for start in range(0, len(text), size))


def _check(data: bytes, digits: int) -> str:
    return hashlib.sha256(data).hexdigest()[:digits]
