"""What the repository says about itself is true: targets, links, lists, programs."""

import re
import subprocess
from pathlib import Path

import pytest

from static import tree

DOCUMENTS = tuple(name for name in tree.files() if name.endswith(".md"))
TOP = {
    ".ci", ".gitignore", ".qubesbuilder", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "Makefile", "README.md", "SECURITY.md", "debian", "docs", "dom0", "policy", "pyproject.toml",
    "qubes-rpc", "requirements-dev.txt", "rpm_spec", "salt", "setup.py", "tests", "version",
    "vm-services",
}  # fmt: skip
MAKEFILE = tree.text("Makefile")
SPELLED = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
TARGETS = SPELLED | {
    f"install-{role}" for role in re.findall(r"^ROLES := (.*)$", MAKEFILE, re.M)[0].split()
}
# Of one machine, or of one place on the network. The patterns do not match themselves.
LOCAL = re.compile(
    r"(?<![\w.~/-])/(?:work|opt/pypi\S*)/\w|/tmp/[s]pec"
    r"|pypi\.org|pythonhosted\.org|deb\.debian\.org|npmjs\.(?:org|com)"
)
PLACEHOLDER = re.compile(r"ROLE|NAME|qborg_X")  # words that stand for any of several files
SHELL_LINES = 40


def test_only_known_things_lie_at_the_root() -> None:
    assert {name.partition("/")[0] for name in tree.files()} <= TOP


@pytest.mark.parametrize("name", [name for name in tree.files() if not name.endswith(".png")])
def test_a_file_names_no_machine_and_no_registry(name: str) -> None:
    found = LOCAL.findall(tree.text(name))

    assert not found


def test_every_target_is_declared_phony_and_every_listed_path_exists() -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[0]

    assert set(phony.split()) - {"$(ROLES:%=install-%)"} == SPELLED
    for path in re.findall(r"\b(?:tests|docs)/[\w./-]+|\bsetup\.py", MAKEFILE):
        assert (tree.ROOT / path).exists(), path


def test_every_test_belongs_to_a_group_that_make_runs() -> None:
    groups = " ".join(re.findall(r"^(?:FAST|SLOW|KILL) := (.*)$", MAKEFILE, re.M)).split()

    lost = [
        name
        for name in tree.files()
        if Path(name).name.startswith("test_")
        and not name.startswith(tuple(f"{group}/" for group in groups))
    ]

    assert not lost


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_names_only_make_targets_that_exist(name: str) -> None:
    named = set(re.findall(r"`(?:YES=1 )?make ([a-z-]+)`", tree.text(name)))

    assert {target for target in named if target != "install-"} <= TARGETS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_link_leads_to_a_file(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", tree.text(name))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]

    for link in local:
        assert (tree.ROOT / name).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_path_in_a_document_exists(name: str) -> None:
    pattern = r"`((?:dom0|vm-services|qubes-rpc|policy|tests|docs|salt)/[\w./-]*)`"

    for path in re.findall(pattern, tree.text(name)):
        if PLACEHOLDER.search(path):
            continue
        assert (tree.ROOT / path).exists(), path


def test_what_is_shell_is_tiny() -> None:
    shell = [name for name in tree.files() if re.match(rb"#!.*\b(ba)?sh\b", tree.first_line(name))]

    assert ".ci/run" in shell
    for name in shell:
        assert len(tree.text(name).splitlines()) <= SHELL_LINES, name
    assert not [name for name in tree.files() if name.endswith((".sh", ".bash"))]


def test_every_program_can_be_run_and_nothing_else_can() -> None:
    command = ["git", "-c", "safe.directory=*", "ls-files", "--stage"]
    listed = subprocess.run(command, cwd=tree.ROOT, check=True, capture_output=True, text=True)

    for line in listed.stdout.splitlines():
        mode, name = line.split()[0], line.split("\t")[1]
        if name in tree.files() and not (tree.ROOT / name).is_symlink():
            # A module that starts with one is text which the lab copies somewhere else.
            program = tree.first_line(name).startswith(b"#!")
            assert program or mode != "100755", f"{name} has mode {mode}"
            assert not program or mode == "100755" or name.endswith(".py"), f"{name} cannot be run"


def test_the_requirements_are_pinned_and_whole() -> None:
    lines = [line for line in tree.text("requirements-dev.txt").splitlines() if line[:1] != "#"]

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9.]*", line) for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_the_version_is_one_line() -> None:
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\n", tree.text("version"))
    version = tree.text("version").strip()
    assert f"## {version}" in tree.text("CHANGELOG.md")
    salt = tree.text("docs/salt.md")
    assert f"_{version}_all.deb" in salt and f"-{version}-1.noarch.rpm" in salt
