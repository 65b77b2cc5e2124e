"""Mutations that know the structure: a good input with a byte, a key, a line or a length bent.

Pure: the same input and the same random numbers give the same bytes. Shared by the sample and by
the coverage-guided driver.
"""

import random
from collections.abc import Callable

from fuzz import bend_json
from fuzz.target import Shape, Target

# What parsers stumble over: controls, other line ends, look-alikes, half characters, quoting.
HOSTILE = (
    b"\0", b"\n", b"\r", b"\r\n", b"\t", b"\x0b", b"\x0c", b"\x1b[2J", b"\x7f", b"\x85", b"\xff",
    b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b"\xd0\xb0", b"\xed\xa0\x80", b"\xc0\xaf",
    b" ", b"  ", b"#", b"=", b'"', b"'", b"\\", b"..", b"/", b"-", b"{{ host }}", b"$(id)", b"%h",
    b"`id`", b";id", b"0", b"-1", b"1e9", b"9" * 20, b"\xd9\xa1",
)  # fmt: skip
# One below, at and above each length that some parser here bounds.
LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 43, 48, 49, 50, 51, 64, 65, 100, 101, 120, 121, 200, 201,
           253, 254, 800, 801, 2000, 2001, 4096, 4097, 8192, 8193)  # fmt: skip
BEYOND = 64  # bytes above the limit that an input may have
_LONG = 0.02  # of the inputs are about as long as the limit

Bend = Callable[[bytes, Target, random.Random], bytes]


def bent(data: bytes, target: Target, dice: random.Random) -> bytes:
    """Answer an input that differs from `data` in one to three places, or is as long as may be."""
    head, body = data[: target.head].ljust(target.head, b"A"), data[target.head :]
    if head and dice.random() < 0.15:
        place = dice.randrange(target.head)
        head = head[:place] + bytes([dice.randrange(256)]) + head[place + 1 :]
    for _time in range(dice.choice((1, 1, 1, 2, 3))):
        body = dice.choice(_BENDS[target.shape])(body, target, dice)
    if dice.random() < _LONG:
        body = _stretch(body, target, dice)
    return head + body[: target.limit + BEYOND]


def _byte(data: bytes, _target: Target, dice: random.Random) -> bytes:
    place = dice.randrange(len(data) + 1)
    new = bytes([dice.randrange(256)])
    return data[:place] + dice.choice((new, b"", new + data[place : place + 1])) + data[place + 1 :]


def _insert(data: bytes, target: Target, dice: random.Random) -> bytes:
    place = dice.randrange(len(data) + 1)
    word = dice.choice(dice.choice((HOSTILE, target.words)))
    gone = dice.choice((0, 0, 1, len(word)))
    return data[:place] + word + data[place + gone :]


def _swap_word(data: bytes, target: Target, dice: random.Random) -> bytes:
    """Put another word in a known word's place: once, or wherever it stands."""
    here = [word for word in target.words if word in data]
    if not here:
        return _insert(data, target, dice)
    old = dice.choice(here)
    new = dice.choice((dice.choice(target.words), dice.choice(HOSTILE), _bent_word(old, dice)))
    if dice.random() < 0.5:
        return data.replace(old, new)
    parts = data.split(old)
    place = dice.randrange(1, len(parts))
    return old.join(parts[:place]) + new + old.join(parts[place:])


def _bent_word(word: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(word) + 1)
    hostile = dice.choice(HOSTILE)
    return dice.choice((
        word + hostile, hostile + word, word[:place] + hostile + word[place:], word[:-1],
        word.upper(), word.swapcase(), word * 2, (word * 8200)[: dice.choice(LENGTHS)],
    ))  # fmt: skip


def _slice(data: bytes, _target: Target, dice: random.Random) -> bytes:
    first, last = sorted((dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)))
    piece = data[first:last]
    return dice.choice((
        data[:first], data[first:], data[:first] + data[last:], data[:last] + piece + data[last:],
        data[:first] + piece[::-1] + data[last:], data + data,
    ))  # fmt: skip


def _stretch(data: bytes, target: Target, dice: random.Random) -> bytes:
    """Grow one place until the whole is just below, at or above the limit."""
    wanted = target.limit + dice.choice((-1, 0, 1, 2, BEYOND))
    missing = max(0, wanted - len(data))
    place = dice.choice((0, len(data), dice.randrange(len(data) + 1)))
    filler = dice.choice((b" ", b"\n", b"[", b"(", b"#", b"A", b"\t", *target.words))
    return data[:place] + (filler * (missing // len(filler) + 1))[:missing] + data[place:]


def _lines(data: bytes, target: Target, dice: random.Random) -> bytes:
    """Move, double, drop or join whole lines, or take one of a seed's."""
    lines = data.split(b"\n")
    place, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    kind = dice.randrange(7)
    if kind == 0:
        lines.insert(other, lines[place])
    elif kind == 1:
        del lines[place]
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 3:
        return b"\r\n".join(lines)
    elif kind == 4:
        lines[place] = dice.choice(HOSTILE) + lines[place]
    elif kind == 5:
        lines[place] = lines[place] + dice.choice(HOSTILE)
    else:
        foreign = dice.choice(target.seeds)[target.head :].split(b"\n")
        lines.insert(place, dice.choice(foreign))
    return b"\n".join(lines)


def _value(data: bytes, target: Target, dice: random.Random) -> bytes:
    """Give one `key = value` line another value, of a length around a limit."""
    lines = data.split(b"\n")
    place = dice.randrange(len(lines))
    key, equals, value = lines[place].partition(b"=")
    kept = value[: dice.choice((0, 1, len(value)))]
    long = ((kept or b"a") * 8200)[: dice.choice(LENGTHS)]
    lines[place] = key + equals + dice.choice((long, dice.choice(target.words), kept + b" "))
    return b"\n".join(lines)


def _tree(data: bytes, target: Target, dice: random.Random) -> bytes:
    bent = bend_json.bend(data, target.words, LENGTHS, dice)
    return _insert(data, target, dice) if bent is None else bent


_BYTES: tuple[Bend, ...] = (_byte, _insert, _swap_word, _slice)
_BENDS: dict[Shape, tuple[Bend, ...]] = {
    Shape.JSON: (*_BYTES, _swap_word, _tree, _tree, _tree, _tree),
    Shape.LINES: (*_BYTES, _swap_word, _lines, _lines, _value),
}
