"""dom0 is small by law. The numbers stand here, so that raising one is a visible change."""

import ast
import re

import pytest

from static import tree

CODE_LINES = 3190  # ADR 19
FILE_LINES = 250
FILES = tree.python_files("dom0/")
FORBIDDEN = {
    "asyncio", "cgi", "code", "ctypes", "dbm", "ftplib", "http", "imaplib", "importlib",
    "jinja2", "marshal", "multiprocessing", "pickle", "poplib", "pty", "shelve", "smtplib",
    "socket", "socketserver", "sqlite3", "ssl", "tarfile", "telnetlib", "urllib", "webbrowser",
    "xml", "yaml", "zipfile",
}  # fmt: skip
THREADS = {"concurrent", "threading", "_thread", "queue"}
# What hands bytes of a qube to Python: a process's pipes, and the calls that read them whole.
VM_BYTES = {"run_service_for_stdio", "run_with_args", "communicate", "check_output", "stdout",
            "stderr"}  # fmt: skip


def importers(modules: set[str]) -> set[str]:
    """Answer the files of dom0 that import one of the modules (by its first name)."""
    return {
        name
        for name in FILES
        for _line, module in tree.imports(name)
        if module.partition(".")[0] in modules
    }


def test_all_of_dom0_keeps_the_budget_of_code_lines() -> None:
    sizes = {name: tree.code_lines(name) for name in FILES}

    assert sum(sizes.values()) <= CODE_LINES, sizes


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_dom0_can_be_read_in_one_sitting(name: str) -> None:
    assert len(tree.text(name).splitlines()) <= FILE_LINES


def test_no_file_of_dom0_imports_what_is_forbidden_there() -> None:
    assert not importers(FORBIDDEN)


def test_one_module_of_dom0_knows_qubesadmin() -> None:
    assert importers({"qubesadmin"}) == {"dom0/qvm_borg/qubes.py"}


def test_at_most_one_module_of_dom0_has_threads() -> None:
    assert len(importers(THREADS)) <= 1


def test_one_module_of_dom0_starts_a_process_of_dom0() -> None:
    """Salt's; the calls into qubes are started by qubesadmin, and remote.py waits for their end."""
    taken: dict[str, set[str]] = {}
    for name in importers({"subprocess"}):
        for node in ast.walk(tree.tree(name)):
            if isinstance(node, ast.ImportFrom) and node.module == "subprocess":
                taken.setdefault(name, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.Import):
                assert "subprocess" not in [alias.name for alias in node.names], name

    assert taken == {"dom0/qvm_borg/remote.py": {"TimeoutExpired"},
                     "dom0/qvm_borg/salt.py": {"Popen", "DEVNULL"}}
    assert not [name for name in FILES for node in ast.walk(tree.tree(name))
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                and node.value.id == "os"
                and re.match("exec|spawn|posix_spawn|fork|system|popen", node.attr)]  # fmt: skip


def test_one_module_of_dom0_holds_bytes_of_qubes() -> None:
    holders = {
        name
        for name in FILES
        for node in ast.walk(tree.tree(name))
        if isinstance(node, ast.Attribute)
        and node.attr in VM_BYTES
        and not (isinstance(node.value, ast.Name) and node.value.id == "sys")
    }

    assert holders <= {"dom0/qvm_borg/remote.py"}


def test_the_contract_is_pure() -> None:
    pure = {"base64", "re", "json", "collections", "dataclasses", "enum", "functools", "qborg_wire",
            "hashlib"}
    # Two read files: those that lie beside the caller, each once, and bare words.
    reads = {"dom0/qborg_wire/data.py": {"pathlib", "tomllib", "typing"},
             "dom0/qborg_wire/causes.py": {"pathlib"},
             "dom0/qborg_wire/services.py": {"string", "typing"}}  # fmt: skip

    found = {
        f"{name}: {module}"
        for name in tree.python_files("dom0/qborg_wire/")
        for _line, module in tree.imports(name)
        if module.partition(".")[0] not in pure | reads.get(name, set())
    }

    assert not found
