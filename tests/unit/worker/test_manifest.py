"""What a worker takes for a manifest: lines of printable ASCII, as many as fit its reply."""

import json

import pytest

from qborg_service.answer import format_reply
from qborg_wire.services import SERVICES
from qborg_worker import manifest

GOOD = {
    "lines": b"class AppVM\nlabel red", "quotes": b'feature a="b" \\n', "longest": b'"' * 15000,
}
BAD = {
    "tab": b"class\tAppVM", "escape": b"\x1b[31m", "nul": b"a\0", "utf-8": "\u00e4".encode(),
    "return": b"class AppVM\r\n", "delete": b"a\x7f", "too-long": b"a" * 15001,
    "nothing": b"",
}


@pytest.mark.parametrize("found", GOOD.values(), ids=GOOD)
def test_what_it_takes_fits_the_reply(found: bytes) -> None:
    text = manifest.parse(found)

    assert text == found.decode()
    values = {"archive": "work-1", "manifest": json.dumps(text), "record": "f" * 64}
    assert format_reply(SERVICES["ReadManifest"], "0" * 32, values)


@pytest.mark.parametrize("found", BAD.values(), ids=BAD)
def test_what_is_no_text_is_not_shown_and_fits_too(found: bytes) -> None:
    text = manifest.parse(found)

    assert text == manifest.NO_TEXT
    values = {"archive": "work-1", "manifest": json.dumps(text), "record": "f" * 64}
    assert format_reply(SERVICES["ReadManifest"], "0" * 32, values)
