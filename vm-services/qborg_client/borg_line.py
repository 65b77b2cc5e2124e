"""A command line as a person types it at borgbak, and the same as borg wants it.

Runs in clients, at each start of borgbak: pure, and it imports next to nothing. What it knows of
borg's commands stands in borg_commands.py.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence

from qborg_client.borg_commands import TABLE

TYPE_CHECKING = False  # the name that type checkers know; `typing` would take too long
if TYPE_CHECKING:
    from typing import Any


class Line(namedtuple("Line", ("command", "row", "words", "awaits"))):
    """A line as borg will read it: its command, what the table says of that, its plain words.

    The words are positions in the arguments: neither the command nor options nor their values.
    `awaits`: its last option still wants a value.
    """

    __slots__ = ()


def read(arguments: Sequence[str]) -> Line:
    """Answer what the arguments are; a command that borg may know and we do not has no words."""
    commands, flags, values = TABLE["commands"], TABLE["common"]["flags"], TABLE["common"]["values"]
    command, words, plain, awaits = "", [], False, False
    for position, argument in enumerate(arguments):
        word = plain or argument == "-" or not argument.startswith("-")
        if awaits and word:
            awaits = False
        elif not word:
            plain = argument == "--"
            awaits = not plain and _awaits_value(argument, values, flags)
        elif command in commands:
            words.append(position)
            if commands[command].get("ends"):
                break
        else:
            command = f"{command} {argument}".lstrip()
            row = commands.get(command, {})
            values = [*values, *_values(row)]
            flags = [*flags, *row.get("flags", ())]
    return Line(command, commands.get(command, {}), words, awaits)


def _values(row: Mapping[str, Any]) -> list[str]:
    shared = [option for group in row.get("groups", ()) for option in TABLE["groups"][group]]
    return [*shared, *row.get("values", ())]


def _awaits_value(argument: str, values: Sequence[str], flags: Sequence[str]) -> bool:
    """Tell whether an option takes the next word; borg takes a beginning of its name for it."""
    if argument.startswith("--"):
        short = argument not in flags and any(option.startswith(argument) for option in values)
        return argument in values or short
    letters = argument[1:]
    taking = next((letter for letter in letters if f"-{letter}" in values), "")
    return bool(taking) and letters.index(taking) == len(letters) - 1


def writes(arguments: Sequence[str], line: Line) -> bool:
    """Tell whether a line changes the repository; borg takes a beginning of an option for it."""
    options = [word for word in arguments if word.startswith("--") and word != "--"]
    return bool(line.row.get("writes")) or any(
        name.startswith(option) for name in line.row.get("writing", ()) for option in options
    )


def names_latest(arguments: Sequence[str], line: Line) -> bool:
    """Tell whether one of the archives in a line is the newest, whatever its name."""
    return bool(_latest(arguments, line))


def lock_wait(arguments: Sequence[str]) -> int:
    """Answer how many seconds a line waits for a lock; what is no number is left to borg."""
    waits = TABLE["wait"]
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for option, after in zip(options, [*options[1:], ""], strict=True):
        name, is_in_it, value = option.partition("=")
        if name.startswith("--loc") and "--lock-wait".startswith(name):
            waits = value if is_in_it else after
    return int(waits if waits.isdecimal() and len(waits) < 10 else TABLE["wait"])


def spell_out(arguments: Sequence[str], line: Line, newest: Callable[[], str]) -> list[str]:
    """Answer the arguments with the repository said where borg wants it.

    What is written fully stays as it is. `newest` is asked only if the line names the latest.
    """
    said = list(arguments)
    for position in _latest(arguments, line):
        said[position] = newest()
    if not _short(arguments, line):
        return said
    first = line.words[0]
    if len(line.words) <= line.row.get("after", 0):
        said.insert(first, "::")
    elif line.row["place"] == "archive":
        said[first] = f"::{said[first]}"
    return said


def _short(arguments: Sequence[str], line: Line) -> bool:
    """Tell whether a line leaves the repository out where borg wants it."""
    if not line.words or "place" not in line.row:
        return False
    first = arguments[line.words[0]]
    if "::" in first or "://" in first:
        return False
    # An archive's name holds no slash: with one it is the path of a repository.
    alone = len(line.words) <= line.row.get("after", 0)
    return alone or line.row["place"] == "archive" and "/" not in first


def _latest(arguments: Sequence[str], line: Line) -> list[int]:
    alone = len(line.words) <= line.row.get("after", 0)
    if alone or not _short(arguments, line):
        return []
    archives = line.words[: line.row.get("archives", 0)]
    return [position for position in archives if arguments[position] == TABLE["latest"]]
