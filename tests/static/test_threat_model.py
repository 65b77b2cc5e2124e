"""docs/threat-model.md lists every attempt of an attacker: no row of a scenario escapes it."""

import ast
import importlib
import re

import pytest

from qborg_wire.row import Role
from qborg_wire.services import SERVICES
from scenarios.attempts import Attempt
from static import tables, tree

LISTED = [name for modules in tables.EVIL.values() for name in modules]
SCENARIOS = [name for name in tree.files() if name.startswith("tests/scenarios/test_")]
MAKERS = {"named", "coded"}


def _makes(node: ast.AST, classes: set[str]) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in classes


def test_every_scenario_with_attempts_is_listed() -> None:
    found = {name for name in SCENARIOS if re.search(r"\battempts\b", tree.text(name))}

    assert found == {f"tests/scenarios/{name}.py" for name in LISTED}


@pytest.mark.parametrize("name", LISTED)
def test_every_attempt_stands_in_a_table_of_its_module(name: str) -> None:
    module = importlib.import_module(f"scenarios.{name}")
    rows = {kind.__name__ for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Attempt)}  # fmt: skip
    body = tree.tree(f"tests/scenarios/{name}.py").body

    outside = [
        node.lineno
        for part in body
        if not (isinstance(part, ast.Assign) and ast.unparse(part.targets[0]).isupper())
        for node in ast.walk(part)
        if _makes(node, rows | MAKERS)
    ]

    assert not outside
    assert "| `" in tables.rows_of(module)


def test_every_service_that_dom0_calls_in_the_maintenance_qube_is_bent() -> None:
    called = {name for name, row in SERVICES.items()
              if (row.callers, row.callees) == ((Role.DOM0,), (Role.MAINTENANCE,))}  # fmt: skip

    assert importlib.import_module("scenarios.test_bent_replies").WAYS.keys() == called


def test_a_cell_holds_no_end_of_a_cell() -> None:
    lines = [line for line in tables.attempts().splitlines() if line.startswith("| ")]

    assert not [line for line in lines if line.count("|") != 4]
