"""The user's settings in a client: a slip is counted, never obeyed and never fatal."""

from dataclasses import replace

from fuzz.target import Shape, Target, scratch
from fuzz.targets import patterns, samples
from qborg_client import settings


def one(data: bytes) -> str:
    """Hold the reader to its contract for one file."""
    text = patterns.read(scratch() / "settings", data)
    if text is None:
        return "no text"
    found = settings.parse(text)
    assert found.interval_hours is None or 1 <= found.interval_hours <= 8760
    assert {found.pause, found.pause_if_metered} <= {0, 1}
    assert type(found.upload_limit_kib) is int and 0 <= found.upload_limit_kib < 10**8
    lines = text.split("\n")
    assert list(found.refused) == sorted(set(found.refused))
    for number in found.refused:
        assert lines[number - 1].partition("#")[0].strip()
    kept = [line for number, line in enumerate(lines, 1) if number not in found.refused]
    understood = settings.parse("\n".join(kept))
    assert understood == replace(found, refused=())
    values = {name: value for name, value in vars(understood).items() if type(value) is int}
    rendered = "".join(f"{name} = {value}\n" for name, value in values.items())
    assert settings.parse(rendered) == understood
    return f"{'some' if found.refused else 'no'} lines refused, {_changed(understood)}"


def _changed(found: settings.Settings) -> str:
    return "defaults" if found == settings.Settings() else "values"


TARGET = Target(
    "client-settings", one,
    (settings.TEXT.encode(), b"interval_hours=6 # often\n  upload_limit_kib =  512  \n"),
    (*samples.WORDS, b"interval_hours", b"upload_limit_kib", b"pause", b"_if_metered", b"8760",
     b"8761", b"100000000", b"99999999", b"00000001", b" = ",
     b"interval_hours = 1\n", "\u0661".encode(), b"\xc2\xa0"),
    Shape.LINES, 256 * 1024,
)  # fmt: skip
