"""What `make install-ROLE` lays down: exactly its role, the same on every machine."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest

from static import tree
from static.roles import SETUP, VM_ROLES


PACKAGES = {
    "dom0": {"qborg_wire", "qvm_borg"},
    "common": {"qborg_wire", "qborg_service", "qborg_borg"},
    "client": {"qborg_client"},
    "maintenance": {"qborg_maintenance"},
    "vault": {"qborg_vault"},
    "worker": {"qborg_worker"},
}
LINK = 0o777
UNITS = tuple(f"qubes-borg-{name}.{kind}" for name in ("backup", "check", "status")
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
            if name.endswith((".py", ".j2", ".toml", ".txt")):
                want[f"usr/lib/qubes-borg/{rest}"] = 0o644
        if name.startswith(f"qubes-rpc/{role}/") and role != "dom0":
            want[f"usr/lib/qubes-borg/rpc/{Path(name).name}"] = 0o755
            want[f"etc/qubes-rpc/{Path(name).name}"] = LINK
        if name.startswith("salt/qubes-borg/") and role == "dom0":
            want[f"srv/{name}"] = 0o644
        if name in SETUP.ROLES[role].documents:
            want[f"usr/share/doc/qubes-borg-{role}/{name}"] = 0o644
        if name.startswith((f"vm-services/completions/{role}/", f"{role}/completions/")):
            want[f"usr/share/bash-completion/completions/{Path(name).name}"] = 0o644
    if role == "dom0":
        want["etc/qubes/policy.d/70-qubes-borg.policy"] = 0o644
        want |= {f"usr/lib/systemd/user/{name}": 0o644 for name in UNITS}
    for command in SETUP.ROLES[role].commands:
        want[f"usr/bin/{command.name}"] = 0o755
        want[f"usr/share/man/man1/{command.name}.1"] = 0o644
    return want


def test_what_a_person_is_sent_to_is_installed() -> None:
    there = {f"/{item.path}" for role in SETUP.ROLES for item in SETUP.role_items(role)}
    texts = [tree.text(name) for name in tree.files() if name.endswith(".toml")
             and name.startswith(("dom0/", "docs/man/"))]

    named = {path for text in texts for path in re.findall(r"/usr/share/doc/[\w./-]+\.md", text)}

    assert named and named <= there


@pytest.mark.parametrize("role", sorted(SETUP.ROLES))
def test_a_role_installs_exactly_its_files(role: str, tmp_path: Path) -> None:
    install(tmp_path, role)

    assert installed(tmp_path) == expected(role)


def test_a_service_is_a_link_that_leads_to_its_program_in_the_root(tmp_path: Path) -> None:
    install(tmp_path, *SETUP.ROLES)

    links = sorted(tmp_path.glob("etc/qubes-rpc/*"))
    assert links
    for link in links:
        assert link.readlink() == Path(f"/usr/lib/qubes-borg/rpc/{link.name}")
        assert (tmp_path / str(link.readlink())[1:]).is_file()


def test_a_role_takes_no_page_of_another_roles_command(tmp_path: Path) -> None:
    for role in ("dom0", "client"):
        install(tmp_path / role, role)

    pages = {role: {path.name for path in (tmp_path / role).rglob("*.1")}
             for role in ("dom0", "client")}
    assert "qvm-borg-setup.1" in pages["dom0"] and "borgbak.1" in pages["client"]
    assert not pages["dom0"] & pages["client"]
    assert not (tmp_path / "client/srv").exists()


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
            and not name.endswith((".py", ".j2", ".toml", ".txt", "README.md"))
        ]
        assert not lost


def test_installing_again_removes_what_an_older_version_had(tmp_path: Path) -> None:
    install(tmp_path, "dom0")
    stale = tmp_path / "usr/lib/qubes-borg/qvm_borg/gone.py"
    stale.write_text("")

    install(tmp_path, "dom0")

    assert installed(tmp_path) == expected("dom0")


@pytest.mark.parametrize("lost", ["dom0/systemd", "salt/qubes-borg", "docs/man", "dom0/qvm_borg"])
def test_from_half_a_clone_nothing_is_installed(lost: str, tmp_path: Path) -> None:
    copy, root = tmp_path / "copy", tmp_path / "root"
    for name in tree.files():
        if not name.startswith((f"{lost}/", "tests/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((tree.ROOT / name).read_bytes())

    done = subprocess.run(
        ["make", "-s", "install-dom0", f"DESTDIR={root}"], cwd=copy, capture_output=True, text=True)

    assert done.returncode != 0 and not root.exists()
    assert len(re.findall("^error: cannot install dom0", done.stderr, re.MULTILINE)) == 1
    assert len(re.findall("^hint: ", done.stderr, re.MULTILINE)) == 1


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
