"""JSON taken apart, bent at one place and written again, in a spelling that may be another.

Pure. Objects are lists of pairs here, so that a key can stand twice.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any


class Pairs(list[tuple[str, Any]]):
    """An object's keys and values, in their order."""


# Written as they stand: what is no text, what is no JSON elsewhere, and what nests.
RAW = (
    "null", "true", "false", "0", "1", "1.0", "-0", "1e400", "NaN", "Infinity", "[]", "{}", '""',
    "[[]]", "9" * 5000, "[" * 2000 + "]" * 2000, '{"a":' * 900 + "1" + "}" * 900,
)  # fmt: skip
TEXTS = ("\x00", "\x1f", "\x7f", "\x85", "\u2028", "\u0430", "\ud800", "\udcff", "\U0001f600", "\n",
         "\r", " ", "..", "/", "\x1b[2J", "\u0661")  # fmt: skip


class Raw(str):
    """JSON that is already written."""

    __slots__ = ()


def bend(
    data: bytes, words: Sequence[bytes], lengths: Sequence[int], dice: random.Random
) -> bytes | None:
    """Answer the document with one place bent, None if it is not JSON or nests too deep."""
    try:
        text = _bend(json.loads(data, object_pairs_hook=Pairs), words, lengths, dice)
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-8", "surrogatepass")


def _bend(tree: Any, words: Sequence[bytes], lengths: Sequence[int], dice: random.Random) -> str:
    places = list(_places(tree))
    if not places:
        return _write(_other(tree, words, lengths, dice), dice)
    parent, index = dice.choice(places)
    if isinstance(parent, Pairs):
        _bend_pair(parent, index, words, lengths, dice)
    else:
        _bend_item(parent, index, words, lengths, dice)
    return _write(tree, dice)


def _places(tree: Any) -> "list[tuple[Any, int]]":
    if not isinstance(tree, list):
        return []
    found = [(tree, index) for index in range(len(tree))]
    for item in tree:
        found += _places(item[1] if isinstance(tree, Pairs) else item)
    return found


def _bend_pair(
    pairs: Pairs, index: int, words: Sequence[bytes], lengths: Sequence[int], dice: random.Random
) -> None:
    key, value = pairs[index]
    kind = dice.randrange(8)
    if kind == 0:
        del pairs[index]
    elif kind == 1:
        pairs.insert(dice.randrange(len(pairs) + 1), (key, _other(value, words, lengths, dice)))
    elif kind == 2:
        pairs.append((str(_other(key, words, lengths, dice)), value))
    elif kind == 3:
        pairs[index] = (str(_other(key, words, lengths, dice)), value)
    else:
        pairs[index] = (key, _other(value, words, lengths, dice))


def _bend_item(
    items: list[Any], index: int, words: Sequence[bytes], lengths: Sequence[int],
    dice: random.Random,
) -> None:  # fmt: skip
    kind = dice.randrange(4)
    if kind == 0:
        del items[index]
    elif kind == 1:
        items.extend([items[index]] * dice.choice((1, 2, 50)))
    else:
        items[index] = _other(items[index], words, lengths, dice)


def _other(
    value: Any, words: Sequence[bytes], lengths: Sequence[int], dice: random.Random
) -> Any:
    """Answer what stands in a value's place: another type, another word, a text edited."""
    kind = dice.randrange(10)
    if kind == 0:
        return Raw(dice.choice(RAW))
    if kind == 1 or not isinstance(value, str):
        return dice.choice(words).decode("utf-8", "replace")
    if kind == 2:
        return [value]
    if kind == 3:
        return ((value or "a") * 8200)[: dice.choice(lengths)]
    place = dice.randrange(len(value) + 1)
    text = dice.choice((*TEXTS, dice.choice(words).decode("utf-8", "replace")))
    edits: tuple[Callable[[], str], ...] = (
        lambda: value[:place] + text + value[place:],
        lambda: value[:place] + text + value[place + 1 :],
        lambda: value + text,
        lambda: value[:place] + value[place + 1 :],
        lambda: _line_edit(value, text, dice),
    )
    return dice.choice(edits)()


def _line_edit(value: str, text: str, dice: random.Random) -> str:
    lines = value.split("\n")
    place = dice.randrange(len(lines))
    lines[place : place + 1] = dice.choice(
        ([lines[place], lines[place]], [], [text + lines[place]], [lines[place] + text],
         [text, lines[place]], [lines[place] + "\r"])
    )  # fmt: skip
    return "\n".join(lines)


def _write(tree: Any, dice: random.Random) -> str:
    style = dice.randrange(12)
    comma, colon = (", ", ": ") if style == 0 else (",", ":")
    ascii_only = style != 1

    def write(node: Any) -> str:
        if isinstance(node, Raw):
            return str(node)
        if isinstance(node, Pairs):
            texts = [f"{write(key)}{colon}{write(value)}" for key, value in node]
            return "{" + comma.join(texts) + "}"
        if isinstance(node, list):
            return "[" + comma.join(map(write, node)) + "]"
        return json.dumps(node, ensure_ascii=ascii_only)

    return write(tree)
