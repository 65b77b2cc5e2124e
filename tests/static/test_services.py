"""One table, and everything that follows it: policy, rpc files, handlers, documents."""

import ast
import importlib.util
import re
import sys

import pytest

from qborg_wire.row import Role, Service

from qborg_wire.services import SERVICES
from static import tables, tree

POLICY = "policy/70-qubes-borg.policy"
STUB = """\
#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from qborg_{role}.services.{stem} import main; sys.exit(main())
"""
SERVED = [(row, role) for row in SERVICES.values() for role in row.callees]
IDS = [f"{row.name}-{role.value}" for row, role in SERVED]


def stem(row: Service) -> str:
    """Answer the name of a service's module: InstallBundle is install_bundle."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", row.name).lower()


def rpc_files() -> set[str]:
    """Answer every service program, as FOLDER/qborg.Name."""
    return {
        name.removeprefix("qubes-rpc/")
        for name in tree.files()
        if name.startswith("qubes-rpc/") and not name.endswith("README.md")
    }


def test_the_policy_denies_every_service_by_name_and_says_nothing_else() -> None:
    rules = [line for line in tree.text(POLICY).splitlines() if line and not line.startswith("#")]

    assert sorted(rules) == sorted(
        f"{row.full_name} * * * deny" + ("" if Role.DOM0 in row.callers else " notify=no")
        for row in SERVICES.values()
    )


def test_the_policy_has_no_comment_after_a_rule() -> None:
    lines = tree.text(POLICY).splitlines()

    assert not [line for line in lines if "#" in line and not line.startswith("#")]


def test_every_served_row_has_its_program_and_there_is_no_other() -> None:
    assert rpc_files() == {f"{role.value}/{row.full_name}" for row, role in SERVED}


def test_no_qube_can_call_dom0() -> None:
    assert not [name for name in rpc_files() if name.startswith("dom0/")]
    assert not [row for row in SERVICES.values() if Role.DOM0 in row.callees]


@pytest.mark.parametrize(("row", "role"), SERVED, ids=IDS)
def test_a_program_is_the_stub(row: Service, role: Role) -> None:
    program = f"qubes-rpc/{role.value}/{row.full_name}"

    assert tree.text(program) == STUB.format(role=role.value, stem=stem(row))


@pytest.mark.parametrize(("row", "role"), SERVED, ids=IDS)
def test_a_handler_serves_its_own_row_in_its_own_role(row: Service, role: Role) -> None:
    module = f"vm-services/qborg_{role.value}/services/{stem(row)}.py"

    mains = [
        node.value
        for node in tree.tree(module).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "main"
    ]

    assert len(mains) == 1
    assert isinstance(mains[0], ast.Call)
    assert [ast.unparse(a) for a in mains[0].args[:2]] == [repr(row.name), f"Role.{role.name}"]


def test_there_is_no_handler_without_a_row() -> None:
    modules = {
        (parts[1], parts[3])
        for name in tree.python_files("vm-services/")
        if len(parts := name.split("/")) == 4 and parts[2] == "services"
    }

    expected = {(f"qborg_{role.value}", f"{stem(row)}.py") for row, role in SERVED}
    assert {(package, file) for package, file in modules if file[0] != "_"} == expected


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_a_document_shows_what_the_code_holds(name: str) -> None:
    assert tables.rendered(name) == tree.text(name), "run `make docs`"


@pytest.mark.parametrize(("row", "role"), SERVED, ids=IDS)
def test_a_handler_can_be_imported_and_serves_nothing_by_it(row: Service, role: Role) -> None:
    name = f"qborg_{role.value}.services.{stem(row)}"

    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert callable(module.main)
    assert name not in sys.modules or sys.modules[name] is not module
