"""dom0's settings.toml: what a person may have edited is whole and matching, or told."""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fuzz.target import Shape, Target, one_line, scratch
from fuzz.targets import samples
from qvm_borg import settings
from qvm_borg.errors import SettingsError


@contextmanager
def _home() -> Iterator[None]:
    """Let the settings lie in our scratch directory for a moment."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(scratch() / "dom0")
    try:
        settings.path().parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


def one(data: bytes) -> str:
    """Hold the reader to its contract for one file."""
    with _home():
        settings.path().write_bytes(data)
        try:
            found = settings.load()
        except SettingsError as error:
            assert one_line(str(error.hint), 200)
            # The file is the person's own: a key of it may be named, in one printable line.
            assert str(error).isascii() and str(error).isprintable()
            return "refused"
        assert found is not None
        for key, value in dataclasses.asdict(found).items():
            pattern, limit = settings.PATTERNS[key]
            assert len(value) <= limit and pattern.fullmatch(value), key
        settings.store(found)
        assert settings.load() == found
        return "accepted"


def _seed(host_key: str, port: str) -> bytes:
    lines = [("machine", samples.MACHINE), ("machine_id", samples.MACHINE_ID), ("account", "zh1"),
             ("host", "backup.example"), ("port", port), ("host_key", host_key),
             ("remote_borg", "borg14")]  # fmt: skip
    text = "# Written by qvm-borg-setup.\n" + "".join(f'{k} = "{v}"\n' for k, v in lines)
    return text.encode("ascii")


_WORDS = (
    *samples.WORDS, b'"', b"'", b'"""', b"'''", b"[machine]\n", b"[[machine]]\n", b"a.b = 1\n",
    b"machine = ", b"port = 22\n", b"{a = 1}", b"[1, 2]", b"1979-05-27T07:32:00Z", b"9999-99-99",
    b"0x", b"inf", b"\\u0000", b"\\ud800", b"\\x41", b"[" * 3000, b"{a=" * 3000, b"a." * 3000,
    b"9" * 5000,
)  # fmt: skip
TARGET = Target(
    "dom0-settings", one, (_seed("unknown", "22"), _seed(samples.FINGERPRINT, "2222")), _WORDS,
    Shape.LINES, 16384,
)  # fmt: skip
