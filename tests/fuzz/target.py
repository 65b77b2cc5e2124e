"""What a fuzzed parser is: its name, good inputs, the words that matter to it, its whole contract.

Runs on a developer's host. Knows nothing of how inputs are made (bend.py) or run (drive.py).
"""

import ast
import atexit
import functools
import inspect
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType


class Shape(Enum):
    """How an input is taken apart before it is bent."""

    JSON = "json"
    LINES = "lines"


@dataclass(frozen=True)
class Target:
    """One parser. `one` answers what became of an input, and raises if the contract is broken.

    The first `head` bytes of an input choose (a row, an exit status) and are no part of what is
    parsed. `limit` is the parser's own, in bytes; inputs go a little beyond it.
    """

    name: str
    one: Callable[[bytes], str]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    shape: Shape
    limit: int
    head: int = 0


class Vocabulary:
    """Every message that some modules can raise, read from their source.

    A refusal that says anything else repeats what came in. `inserts` is the pattern of what a
    placeholder of an f-string may stand for.
    """

    def __init__(self, *modules: ModuleType, inserts: str = "(?!)") -> None:
        texts = {
            text
            for module in modules
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.Raise)
            for text in _messages(node, inserts)
        }
        self.pattern = "|".join(f"(?:{text})" for text in sorted(texts))

    def told(self, message: str) -> str:
        """Answer the message, if it is one of them; raises AssertionError without repeating it."""
        assert re.fullmatch(self.pattern, message), "the refusal says what is not in the source"
        return message


def _messages(node: ast.AST, inserts: str) -> list[str]:
    if isinstance(node, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else f"(?:{inserts})"
            for part in node.values
        ]
        return ["".join(parts)]
    if isinstance(node, ast.Constant):
        return [re.escape(node.value)] if isinstance(node.value, str) else []
    return [text for child in ast.iter_child_nodes(node) for text in _messages(child, inserts)]


@functools.cache
def scratch() -> Path:
    """Answer this process's own directory, in memory where the machine has such a place."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="qborg-fuzz.", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder)
    return folder


def one_line(text: str, limit: int) -> bool:
    """Answer whether a text can be shown as it is: printable ASCII, one line, not too long."""
    return len(text) <= limit and re.fullmatch(r"[\x20-\x7e]+", text) is not None
