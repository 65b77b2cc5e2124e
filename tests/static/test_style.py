"""House rules that a program can check: sizes, annotations, docstrings, forbidden constructs."""

import ast
import re

import pytest

from static import tree

FILE_LINES = 300
FUNCTION_LINES = 40
LINE_WIDTH = 100
FILES = tree.python_files()
DOCUMENTED = tuple(name for name in FILES if not tree.is_test(name))
PRODUCT = tree.python_files(*tree.PRODUCT)
# The two frames, where an unknown exception becomes an exit code or a reply.
FRAMES = {"dom0/qvm_borg/tools/__init__.py", "vm-services/qborg_service/entry.py"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve"}


def dotted(node: ast.expr) -> str:
    """Answer a name as it is written, as `os.system`; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def as_bytes(value: object) -> bytes:
    """Answer a pattern's text, whichever kind it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


def calls(name: str) -> list[ast.Call]:
    """Answer every call in a file."""
    return [node for node in ast.walk(tree.tree(name)) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short(name: str) -> None:
    assert len(tree.text(name).splitlines()) <= FILE_LINES


@pytest.mark.parametrize("name", FILES)
def test_a_function_fits_a_screen(name: str) -> None:
    long = {
        f"{name}:{node.lineno} {node.name}: {tree.length(node)}"
        for node in tree.functions(name)
        if tree.length(node) > FUNCTION_LINES and not node.name.startswith("test_")
    }

    assert not long


@pytest.mark.parametrize("name", FILES)
def test_a_line_is_narrow_and_clean(name: str) -> None:
    bad = [
        number
        for number, line in enumerate(tree.text(name).split("\n"), 1)
        if len(line) > LINE_WIDTH or line != line.rstrip() or "\t" in line
    ]

    assert not bad
    assert tree.text(name).endswith("\n") or not tree.text(name)


@pytest.mark.parametrize("name", FILES)
def test_every_function_is_annotated(name: str) -> None:
    bare = set()
    for node in tree.functions(name):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += filter(None, [node.args.vararg, node.args.kwarg])
        named = [a for a in arguments if a.arg not in ("self", "cls")]
        if node.returns is None or any(a.annotation is None for a in named):
            bare.add(f"{name}:{node.lineno} {node.name}")

    assert not bare


@pytest.mark.parametrize("name", FILES)
def test_every_module_says_what_it_is(name: str) -> None:
    # A stub of qubes-rpc/ is compared as a whole.
    if tree.text(name).strip() and not name.startswith("qubes-rpc/"):
        assert ast.get_docstring(tree.tree(name)), f"{name} has no docstring"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_everything_public_has_a_docstring(name: str) -> None:
    silent = {
        f"{name}:{node.lineno} {dotted_name}"
        for dotted_name, node in tree.public(tree.tree(name))
        if not ast.get_docstring(node)
    }

    assert not silent


@pytest.mark.parametrize("name", PRODUCT)
def test_only_the_frames_catch_everything(name: str) -> None:
    # Tidying up for whatever happens is fine where the last line hands it on.
    broad = {
        f"{name}:{node.lineno}"
        for node in ast.walk(tree.tree(name))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or dotted(node.type) in ("Exception", "BaseException"))
        and ast.unparse(node.body[-1]) != "raise"
    }

    assert not broad or name in FRAMES


@pytest.mark.parametrize("name", FILES)
def test_nothing_runs_text_as_code(name: str) -> None:
    found = {f"{name}:{c.lineno}" for c in calls(name) if dotted(c.func) in FORBIDDEN_CALLS}
    found |= {
        f"{name}:{call.lineno} shell="
        for call in calls(name)
        if any(word.arg == "shell" for word in call.keywords)
    }
    found |= {
        f"{name}:{line} {module}"
        for line, module in tree.imports(name)
        if module.partition(".")[0] in FORBIDDEN_MODULES
    }

    assert not found


@pytest.mark.parametrize("name", PRODUCT)
def test_no_check_of_the_product_is_an_assert(name: str) -> None:
    # `python3 -O` drops them; what only tells the type checker that a pipe is there may stay.
    found = {
        f"{name}:{node.lineno}"
        for node in ast.walk(tree.tree(name))
        if isinstance(node, ast.Assert)
        for part in ast.unparse(node.test).split(" and ")
        if not part.endswith(" is not None")
    }

    assert not found


@pytest.mark.parametrize("name", PRODUCT)
def test_no_pattern_ends_in_a_dollar(name: str) -> None:
    # `$` lets a newline through: what is checked is checked by fullmatch.
    found = [
        call.lineno
        for call in calls(name)
        if dotted(call.func).startswith("re.") and "re.MULTILINE" not in ast.unparse(call)
        for part in ast.walk(call)
        if isinstance(part, ast.Constant) and re.search(rb"(?<!\\)\$", as_bytes(part.value))
    ]

    assert not found


@pytest.mark.parametrize("name", PRODUCT)
def test_untrusted_text_never_reaches_a_message(name: str) -> None:
    found = {
        f"{name}:{node.lineno}"
        for node in ast.walk(tree.tree(name))
        if isinstance(node, ast.FormattedValue)
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and part.id.startswith("untrusted_")
    }

    assert not found


@pytest.mark.parametrize("name", tree.python_files("dom0/qborg_wire/"))
def test_a_parser_of_the_contract_says_that_its_input_is_untrusted(name: str) -> None:
    parsers = [node for node in tree.functions(name) if node.name.startswith("parse")]

    for node in parsers:
        assert any(a.arg.startswith("untrusted_") for a in node.args.args), node.name


@pytest.mark.parametrize("name", tree.python_files(*tree.PRODUCT))
def test_the_product_is_ascii(name: str) -> None:
    assert tree.text(name).isascii()


@pytest.mark.parametrize("name", FILES)
def test_no_work_is_left_in_a_comment(name: str) -> None:
    assert not re.search(r"#.*\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b", tree.text(name))


@pytest.mark.parametrize("name", [name for name in FILES if tree.is_test(name)])
def test_no_test_can_be_left_out(name: str) -> None:
    # What a machine lacks is installed or is a failure: a skipped test proves nothing. Only the
    # originals, which are on no registry, may be absent, and the report's header says which are.
    evasive = {"skip", "skipif", "importorskip", "xfail"}
    allowed = ("pytest.skip('LAB_QREXEC", "pytest.skip('LAB_QUBESADMIN")

    used = [
        node
        for node in ast.walk(tree.tree(name))
        if isinstance(node, ast.Attribute) and node.attr in evasive
    ]
    reasoned = [call for call in calls(name) if ast.unparse(call).startswith(allowed)]

    assert len(used) == len(reasoned), [f"{name}:{node.lineno} {node.attr}" for node in used]
