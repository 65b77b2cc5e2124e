"""What dom0 tells by a key: every key is there, every text is used, and their fields match."""

import ast
from string import Template

import pytest

from qborg_wire import data
from qvm_borg import errors, telling
from static import tree

FILES = tree.python_files("dom0/qvm_borg/")
LINES = data.beside(telling.__file__, "lines")
REFUSALS = data.beside(telling.__file__, "refusals")
TROUBLES = data.beside(telling.__file__, "troubles")
# What tells by a key: which of its arguments that is.
KEY_AT = {"text": 0, "refusal": 0, "tell": 0, "_say": 0, "_step": 1}
WORDS = "words"  # with `_`, the method of a class whose texts all have these fields


def named(*texts: str) -> set[str]:
    """Answer what texts name of their caller."""
    found = {name for each in texts for name in Template(each).get_identifiers()}
    return found - errors.TEXTS.keys()


def fields(told: str, key: str) -> set[str]:
    """Answer the fields of a line, or of a refusal; raises KeyError for a key that is none."""
    if told != "refusal":
        return named(LINES[key])
    return named(REFUSALS[key]["message"], REFUSALS[key].get("hint", ""))


def literals(node: ast.expr | None) -> list[str]:
    """Answer the text that an expression is, or either of the two."""
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def words(name: str) -> set[str]:
    """Answer the fields that all texts of a file have."""
    found: list[ast.AST] = [node for node in tree.functions(name) if node.name == f"_{WORDS}"]
    found += [node for node in ast.walk(tree.tree(name)) if isinstance(node, ast.Assign)
              and any(isinstance(each, ast.Name) and each.id == WORDS for each in node.targets)]
    return {key for node in found for each in ast.walk(node) if isinstance(each, ast.Dict)
            for part in each.keys for key in literals(part)}  # fmt: skip


def calls(name: str) -> list[tuple[str, list[str], ast.Call]]:
    """Answer each call of a file that tells by a key: by what, the keys, the call."""
    found = []
    for node in ast.walk(tree.tree(name)):
        if isinstance(node, ast.Call):
            told = getattr(node.func, "attr", getattr(node.func, "id", ""))
            keys = literals(dict(enumerate(node.args)).get(KEY_AT.get(told, 99)))
            # What else is called `text` has no key.
            found += [(told, keys, node)] if keys else []
    return found


CALLS = [(name, *call) for name in FILES for call in calls(name)]
IDS = [f"{name.rpartition('/')[2]}:{node.lineno}" for name, _told, _keys, node in CALLS]


@pytest.mark.parametrize(("name", "told", "keys", "node"), CALLS, ids=IDS)
def test_a_text_gets_the_fields_that_it_names(
    name: str, told: str, keys: list[str], node: ast.Call
) -> None:
    given = {word.arg for word in node.keywords if word.arg} - {"changed"}
    common = words(name) if told.startswith("_") or any(
        word.arg is None for word in node.keywords) else set()

    wanted = [fields(told, key) for key in keys]

    assert all(each <= given | common for each in wanted)
    assert given <= set().union(*wanted)


def test_every_text_is_told_somewhere() -> None:
    used = {node.value for name in FILES for node in ast.walk(tree.tree(name))
            if isinstance(node, ast.Constant)}  # fmt: skip

    by_name = {name for name, row in TROUBLES.items() if "when" not in row}
    assert not {*LINES, *REFUSALS, *by_name} - used


def test_what_is_told_of_a_table_has_only_the_common_fields() -> None:
    direct = {key for _name, _told, keys, _node in CALLS for key in keys}

    of_tables = LINES.keys() - direct

    assert "revoked" in of_tables
    assert not {key for key in of_tables if not named(LINES[key]) <= words(
        "dom0/qvm_borg/revoke.py")}  # fmt: skip


@pytest.mark.parametrize("key", sorted(REFUSALS))
def test_a_refusal_is_an_error_with_its_own_or_its_classs_hint(key: str) -> None:
    given = dict.fromkeys(fields("refusal", key), "$work")

    error = telling.refusal(key, **given)

    assert type(error).__name__ == REFUSALS[key]["error"] and set(REFUSALS[key]) <= {
        "error", "message", "hint"}
    assert error.hint and "\n" not in error.message + error.hint
    assert "$work" in error.message + error.hint or not given  # a field is no template


@pytest.mark.parametrize(("told", "key"), [("refusal", "is-revoked"), ("text", "set-uq")])
def test_what_is_not_given_or_not_there_cannot_pass_silently(told: str, key: str) -> None:
    with pytest.raises(KeyError):
        getattr(telling, told)(key)
