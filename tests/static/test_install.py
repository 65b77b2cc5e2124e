"""What `make install-ROLE` lays down: exactly its role, the same on every machine."""

import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from static import tree


def load_setup() -> ModuleType:
    """Answer setup.py as a module; loading it must do nothing."""
    spec = importlib.util.spec_from_file_location("qubes_borg_setup", tree.ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SETUP = load_setup()
VM_ROLES = tuple(role for role in SETUP.ROLES if role != "dom0")
PACKAGES = {
    "dom0": {"qborg_wire", "qvm_borg"},
    "common": {"qborg_wire", "qborg_service", "qborg_borg"},
    "client": {"qborg_client"},
    "maintenance": {"qborg_maintenance"},
    "vault": {"qborg_vault"},
    "worker": {"qborg_worker"},
}
UNITS = tuple(f"qubes-borg-{name}.{kind}" for name in ("backup", "status")
              for kind in ("service", "timer"))


def install(root: Path, *roles: str) -> None:
    """Run the make targets as a packager does, under a hostile umask."""
    targets = [f"install-{role}" for role in roles]
    command = ["make", "-s", *targets, f"DESTDIR={root}"]
    subprocess.run(command, cwd=tree.ROOT, check=True, capture_output=True, umask=0o077)


def installed(root: Path) -> dict[str, int]:
    """Answer every file below a root with its mode."""
    return {
        str(path.relative_to(root)): path.lstat().st_mode & 0o7777
        for path in root.rglob("*")
        if not path.is_dir()
    }


def expected(role: str) -> dict[str, int]:
    """Answer what a role must lay down, worked out from the files in git."""
    want: dict[str, int] = {}
    for name in tree.files():
        folder, _slash, rest = name.partition("/")
        package = rest.partition("/")[0]
        if folder in ("dom0", "vm-services") and package in PACKAGES[role]:
            if name.endswith((".py", ".j2", ".toml")):
                want[f"usr/lib/qubes-borg/{rest}"] = 0o644
        if name.startswith(f"qubes-rpc/{role}/") and role != "dom0":
            want[f"etc/qubes-rpc/{Path(name).name}"] = 0o755
        if name.startswith(f"vm-services/completions/{role}/"):
            want[f"usr/share/bash-completion/completions/{Path(name).name}"] = 0o644
        if role == "dom0" and name.startswith("salt/qubes-borg/"):
            want[f"srv/{name}"] = 0o644
    if role == "dom0":
        want["etc/qubes/policy.d/70-qubes-borg.policy"] = 0o644
        want |= {f"usr/lib/systemd/user/{name}": 0o644 for name in UNITS}
    return want | {f"usr/bin/{command.name}": 0o755 for command in SETUP.ROLES[role].commands}


@pytest.mark.parametrize("role", sorted(SETUP.ROLES))
def test_a_role_installs_exactly_its_files(role: str, tmp_path: Path) -> None:
    install(tmp_path, role)

    assert installed(tmp_path) == expected(role)


@pytest.mark.parametrize("pair", list(itertools.combinations(VM_ROLES, 2)), ids="-".join)
def test_two_roles_of_a_template_share_no_file(pair: tuple[str, str], tmp_path: Path) -> None:
    install(tmp_path, *pair)

    assert not set(expected(pair[0])) & set(expected(pair[1]))
    assert installed(tmp_path) == expected(pair[0]) | expected(pair[1])


@pytest.mark.parametrize("role", sorted(SETUP.ROLES))
def test_a_package_holds_nothing_that_is_not_installed(role: str) -> None:
    for source in SETUP.ROLES[role].packages:
        lost = [
            name
            for name in tree.files()
            if name.startswith(f"{source}/")
            and not name.endswith((".py", ".j2", ".toml", "README.md"))
        ]
        assert not lost


def test_installing_again_removes_what_an_older_version_had(tmp_path: Path) -> None:
    install(tmp_path, "dom0")
    stale = tmp_path / "usr/lib/qubes-borg/qvm_borg/gone.py"
    stale.write_text("")

    install(tmp_path, "dom0")

    assert installed(tmp_path) == expected("dom0")


def test_folders_can_be_entered_whatever_the_umask(tmp_path: Path) -> None:
    install(tmp_path / "root", *VM_ROLES)

    folders = [path for path in (tmp_path / "root").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o7777 for path in folders} == {0o755}


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "etc/qubes/policy.d"
    folder.mkdir(parents=True)
    folder.chmod(0o2775)

    install(tmp_path, "dom0")

    assert folder.stat().st_mode & 0o7777 == 0o2775


@pytest.mark.parametrize(
    "command",
    [command for role in SETUP.ROLES.values() for command in role.commands],
    ids=lambda command: command.name,
)
def test_a_command_is_a_stub_whose_module_has_a_main(command: object) -> None:
    source = {Path(s).name: s for role in SETUP.ROLES.values() for s in role.packages}
    module: str = getattr(command, "module")
    top, _dot, rest = module.partition(".")
    path = f"{source[top]}/{rest.replace('.', '/')}.py"

    assert re.search(r"^(?:def main\(|main = )", tree.text(path), re.M)


@pytest.mark.parametrize(
    "arguments",
    [["--role", "nobody", "--root", "/nowhere"], ["--role", "dom0"], []],
    ids=["unknown-role", "no-root", "nothing"],
)
def test_a_wrong_call_is_a_usage_error(arguments: list[str]) -> None:
    command = ["/usr/bin/python3", "setup.py", "install_role", *arguments]

    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True)

    assert done.returncode == 2
    assert "usage: setup.py install_role" in done.stderr


def test_a_root_that_cannot_be_written_is_one_error_and_one_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = ["/usr/bin/python3", "setup.py", "install_role", "--role", "dom0"]

    done = subprocess.run(
        [*command, "--root", tmp_path / "file"], cwd=tree.ROOT, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_the_repository_writes_no_bytecode_into_a_root(tmp_path: Path) -> None:
    install(tmp_path, *SETUP.ROLES)

    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".pyc"]
