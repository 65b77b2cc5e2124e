"""Imports run one way, and each trust domain sees only what is installed beside it."""

import sys

import pytest

from static import tree

# package -> what it may import beside the standard library and itself. Nothing else.
EDGES = {
    "qborg_wire": set(),
    "qvm_borg": {"qborg_wire", "qubesadmin"},
    "qborg_service": {"qborg_wire"},
    "qborg_borg": {"qborg_wire", "qborg_service"},
    "qborg_maintenance": {"qborg_wire", "qborg_service", "qborg_borg", "jinja2", "pexpect"},
    "qborg_client": {"qborg_wire", "qborg_service", "qborg_borg"},
    "qborg_vault": {"qborg_wire", "qborg_service", "qborg_borg"},
    "qborg_worker": {"qborg_wire", "qborg_service", "qborg_borg"},
}
DOM0 = ("qborg_wire", "qvm_borg")


def package_of(name: str) -> str:
    """Answer the top package of a product file."""
    return tree.module_name(name).partition(".")[0]


@pytest.mark.parametrize("name", tree.python_files(*tree.PRODUCT))
def test_a_package_imports_only_what_its_domain_may(name: str) -> None:
    package = package_of(name)
    allowed = EDGES[package] | {package} | sys.stdlib_module_names

    foreign = {
        f"{name}:{line}: {module}"
        for line, module in tree.imports(name)
        if module.partition(".")[0] not in allowed
    }

    assert not foreign


@pytest.mark.parametrize("name", tree.python_files(*tree.PRODUCT))
def test_a_package_lies_in_the_folder_of_its_domain(name: str) -> None:
    folder = "dom0" if package_of(name) in DOM0 else "vm-services"

    assert name.startswith(f"{folder}/{package_of(name)}/")


def test_the_allowed_edges_have_no_cycle() -> None:
    remaining = {package: edges & set(EDGES) for package, edges in EDGES.items()}

    while ready := {package for package, edges in remaining.items() if not edges & set(remaining)}:
        for package in ready:
            del remaining[package]

    assert not remaining


@pytest.mark.parametrize("name", tree.python_files(tree.LAB))
def test_the_lab_imports_nothing_of_the_product(name: str) -> None:
    found = {module for _line, module in tree.imports(name)}

    assert not {module for module in found if module.partition(".")[0] in EDGES}


@pytest.mark.parametrize("name", tree.python_files(*tree.PRODUCT))
def test_no_product_file_speaks_of_the_lab(name: str) -> None:
    words = ("LAB_", "labctl", "tests/lab", "/run/lab", "pytest", "TESTING")

    assert not [word for word in words if word in tree.text(name)]


@pytest.mark.parametrize("name", tree.python_files(tree.LAB))
def test_the_lab_needs_only_the_standard_library(name: str) -> None:
    # qubesadmin: the stand-in that the lab itself brings.
    allowed = sys.stdlib_module_names | {"lab", "qubesadmin"}
    if name.startswith(tree.SELFTEST):
        allowed |= {"pytest", "hypothesis", "qrexec"}

    foreign = {module for _line, module in tree.imports(name)}

    assert not {module for module in foreign if module.partition(".")[0] not in allowed}
