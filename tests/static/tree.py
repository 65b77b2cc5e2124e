"""The repository as data: its files, their syntax trees, what is production and what is not.

Used by the tests of the house rules only. Imports nothing of the product or the lab.
"""

import ast
import functools
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("dom0/", "vm-services/")
LAB = "tests/lab/"
SELFTEST = "tests/lab/selftest/"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def files() -> tuple[str, ...]:
    """Answer every file that is in git or would be added, relative to the root."""
    # safe.directory: the clone may belong to another user than the one who tests it.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]  # fmt: skip
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(name for name in set(output.split("\0")) if (ROOT / name).is_file()))


@functools.cache
def text(name: str) -> str:
    """Answer what a file holds."""
    return (ROOT / name).read_text(encoding="utf-8")


@functools.cache
def first_line(name: str) -> bytes:
    """Answer a file's first line, for the programs that have no suffix."""
    with (ROOT / name).open("rb") as file:
        return file.readline(200)


@functools.cache
def python_files(*prefixes: str) -> tuple[str, ...]:
    """Answer the Python files below any of the prefixes (all, if none is given)."""
    return tuple(
        name
        for name in files()
        if (not prefixes or name.startswith(prefixes))
        and (name.endswith(".py") or re.match(rb"#!.*python", first_line(name)))
    )


@functools.cache
def tree(name: str) -> ast.Module:
    """Answer a file's syntax tree."""
    return ast.parse(text(name), name)


def is_test(name: str) -> bool:
    """Answer whether a file holds tests, not code that something else calls."""
    return Path(name).name.startswith(("test_", "conftest"))


def functions(name: str) -> Iterator[Function]:
    """Yield every function of a file, nested ones and methods too."""
    for node in ast.walk(tree(name)):
        if isinstance(node, Function):
            yield node


def public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield the public functions, classes and methods, each with its dotted name."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


def imports(name: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every module that a file imports, relative ones resolved."""
    package = module_name(name).split(".")
    if not name.endswith("/__init__.py"):
        package = package[:-1]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def module_name(name: str) -> str:
    """Answer the dotted name under which a file is imported."""
    path = re.sub(r"^(dom0|vm-services|tests)/", "", name)
    return re.sub(r"(/__init__)?\.py$", "", path).replace("/", ".")


def docstring_lines(name: str) -> set[int]:
    """Answer the numbers of the lines that docstrings stand on."""
    lines: set[int] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Module | Definition) and ast.get_docstring(node) is not None:
            first = node.body[0]
            lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def code_lines(name: str) -> int:
    """Answer how many lines hold code: no blank line, comment or docstring."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
              tokenize.ENDMARKER, tokenize.ENCODING}  # fmt: skip
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text(name)).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(name))


def length(node: Definition) -> int:
    """Answer how many lines a function stands on, decorators and docstring included."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.end_lineno or node.lineno) - first + 1
