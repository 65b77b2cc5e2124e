"""The user's pattern file: what borg would read in it, line by line, or a refusal."""

import io
import re
import warnings
from pathlib import Path

from fuzz.target import Shape, Target, Vocabulary, one_line, scratch
from fuzz.targets import samples
from qborg_client import sources
from qborg_service.failure import ServiceFailure

_LIMIT = 256 * 1024
_KINDS = ("R", "P", "+", "-", "!")
_SAID = Vocabulary(sources, inserts=rf"{re.escape(str(scratch()))}/[a-z]+")
# Python's own words on a broken regular expression follow, which may name a letter of it.
_PLACE = re.compile(r"patterns, line ([1-9][0-9]*): (not a borg pattern|)")


def read(path: Path, data: bytes) -> str | None:
    """Answer what the reader makes of a file with these bytes, None if it refuses them."""
    path.write_bytes(data)
    try:
        text = sources.read_text(path)
    except ServiceFailure as failure:
        assert failure.cause == "source-missing" and _SAID.told(failure.detail)
        return None
    assert len(data) <= _LIMIT and text.encode("utf-8") == data
    return text


def one(data: bytes) -> str:
    """Hold the reader and the parser to their contract for one file."""
    text = read(scratch() / "patterns", data)
    if text is None:
        return "no text"
    # As borg reads it: Python's text mode, which ends a line at a carriage return too.
    lines = [line.strip() for line in io.StringIO(text, newline=None)]
    try:
        found = _parse(text)
    except ServiceFailure as failure:
        assert failure.cause == "source-missing" and one_line(failure.detail, 200)
        place = _PLACE.match(failure.detail)
        assert place is not None and _wrong(lines[int(place[1]) - 1], place[2])
        return f"a line: {place[2] or 'a regular expression'}"
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert len(found) == len(wanted)
    for line, theirs in zip(found, wanted, strict=True):
        assert line.kind in _KINDS
        assert line.rest and line.rest == line.rest.strip()
        assert theirs.startswith(f"{line.kind} ") and theirs.endswith(line.rest)
        assert not set(line.rest) & {"\n", "\r", "\0"}
    assert _parse("".join(f"{each.kind} {each.rest}\n" for each in found)) == found
    return f"accepted, {'some' if any(each.kind == 'R' for each in found) else 'no'} roots"


def _parse(text: str) -> tuple[sources.Line, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's, on expressions whose meaning may change
        return sources.parse(text)


def _wrong(line: str, reason: str) -> bool:
    """Answer whether the line that a refusal names is one that borg would not take."""
    kind, _space, expression = line.partition(" ")
    if reason:
        return kind not in _KINDS or not expression.strip() or "\0" in expression
    return expression.strip().startswith("re:")


_MINE = b"R /home/user\nP sh\n! **/*.iso\n+ pp:/home/user/keep\n- re:\\.tmp$\n"
TARGET = Target(
    "patterns", one, (sources.default_patterns(Path("/home/user")).encode(), _MINE),
    (*samples.WORDS, b"R ", b"P ", b"+ ", b"- ", b"! ", b"! re:", b"- re:(?P<a>b)(?P=a)\n",
     b"- re:[[a]\n", b"(" * 3000, b"{99999999999}", b"{2,1}", b"(?", b"(?P<", b"\\N{", b"[[", b"**",
     b"(?i)", b"\\1", b"(?<=a*)", b"\r", "\u2028".encode(), "\u0085".encode()),
    Shape.LINES, _LIMIT,
)  # fmt: skip
