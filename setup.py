#!/usr/bin/python3
"""Which package runs in which trust domain, and the installer that lays it there.

Runs on a build host, never in a qube. ROLES is the one table: `make install-ROLE`, the packages
and a developer's `pip install -e .` read it. Installing a role needs nothing but Python, so
setuptools is imported only where a wheel is built.
"""

import argparse
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARY = "usr/lib/qubes-borg"
COMPLETIONS = "usr/share/bash-completion/completions"
STUB = """\
#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from {module} import main; sys.exit(main())
"""
PACKAGE_SUFFIXES = frozenset({".py", ".j2", ".toml"})  # all that a package installs


@dataclass(frozen=True)
class Command:
    """A program in /usr/bin and the module whose main() it runs."""

    name: str
    module: str


@dataclass(frozen=True)
class Role:
    """What one trust domain gets: packages (SOURCE/PACKAGE), commands, services, the rest."""

    packages: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    rpc: str | None = None  # folder under qubes-rpc/
    completions: str | None = None  # folder under vm-services/completions/
    policy: tuple[str, ...] = ()  # files under policy/
    units: str | None = None  # folder with units for the user's systemd
    states: str | None = None  # folder under salt/


@dataclass(frozen=True)
class Item:
    """One file to install: where below the root, what it holds, its mode."""

    path: str
    data: bytes
    mode: int


# No file belongs to two roles of a qube, so any set of them can be installed in one template;
# `common` is what all of them need. dom0 has its own copy of the contract and no other role.
ROLES = {
    "dom0": Role(
        packages=("dom0/qborg_wire", "dom0/qvm_borg"),
        commands=(
            Command("qvm-borg-setup", "qvm_borg.tools.setup"),
            Command("qvm-borg-enroll", "qvm_borg.tools.enroll"),
            Command("qvm-borg-backup", "qvm_borg.tools.backup"),
            Command("qvm-borg-restore", "qvm_borg.tools.restore"),
            Command("qvm-borg-check", "qvm_borg.tools.check"),
            Command("qvm-borg-recover", "qvm_borg.tools.recover"),
            Command("qvm-borg-status", "qvm_borg.tools.status"),
            Command("qvm-borg-revoke", "qvm_borg.tools.revoke"),
            Command("qvm-borg-rotate", "qvm_borg.tools.rotate"),
        ),
        policy=("70-qubes-borg.policy",),
        units="dom0/systemd",
        states="qubes-borg",
    ),
    "common": Role(
        packages=("dom0/qborg_wire", "vm-services/qborg_service", "vm-services/qborg_borg"),
    ),
    "client": Role(
        packages=("vm-services/qborg_client",),
        commands=(
            Command("borgbak", "qborg_client.tools.borgbak"),
            Command("qborg-install", "qborg_client.tools.install"),
            Command("qborg-run", "qborg_client.tools.run"),
        ),
        rpc="client",
        completions="client",
    ),
    "maintenance": Role(
        packages=("vm-services/qborg_maintenance",),
        commands=(
            Command("qborg-admin", "qborg_maintenance.tools.admin"),
            Command("qborg-host-bundle", "qborg_maintenance.tools.host_bundle"),
        ),
        rpc="maintenance",
    ),
    "vault": Role(
        packages=("vm-services/qborg_vault",),
        commands=(
            Command("qborg-vault-export", "qborg_vault.tools.export"),
            Command("qborg-vault-import", "qborg_vault.tools.import_file"),
        ),
        rpc="vault",
    ),
    "worker": Role(packages=("vm-services/qborg_worker",), rpc="worker"),
}


def package_items(source: str) -> Iterator[Item]:
    """Yield the files of one package; raises FileNotFoundError if it is not there."""
    folder = HERE / source
    if not (folder / "__init__.py").is_file():
        raise FileNotFoundError(f"{source} is not a package")
    for path in sorted(folder.rglob("*")):
        if path.suffix in PACKAGE_SUFFIXES and path.is_file():
            target = f"{LIBRARY}/{folder.name}/{path.relative_to(folder)}"
            yield Item(target, path.read_bytes(), 0o644)


def role_items(role: Role) -> Iterator[Item]:
    """Yield every file of a role, the same bytes and modes on every machine."""
    for source in role.packages:
        yield from package_items(source)
    for command in role.commands:
        yield Item(f"usr/bin/{command.name}", STUB.format(module=command.module).encode(), 0o755)
    if role.rpc is not None:
        for path in sorted((HERE / "qubes-rpc" / role.rpc).glob("qborg.*")):
            yield Item(f"etc/qubes-rpc/{path.name}", path.read_bytes(), 0o755)
    if role.completions is not None:
        for path in sorted((HERE / "vm-services/completions" / role.completions).iterdir()):
            yield Item(f"{COMPLETIONS}/{path.name}", path.read_bytes(), 0o644)
    for name in role.policy:
        data = (HERE / "policy" / name).read_bytes()
        yield Item(f"etc/qubes/policy.d/{name}", data, 0o644)
    if role.units is not None:
        for path in sorted((HERE / role.units).glob("qubes-borg-*")):
            yield Item(f"usr/lib/systemd/user/{path.name}", path.read_bytes(), 0o644)
    if role.states is not None:
        for path in sorted((HERE / "salt" / role.states).glob("*.*")):
            yield Item(f"srv/salt/{role.states}/{path.name}", path.read_bytes(), 0o644)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, 0755 whatever the umask; one that is there stays as it is."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)


def install(role: Role, root: Path) -> int:
    """Lay a role under a root, modules of an older version removed; answers how many files."""
    items = list(role_items(role))  # read first: what cannot be read replaces nothing
    for source in role.packages:
        old = root / LIBRARY / Path(source).name
        if old.exists():
            shutil.rmtree(old)
    for item in items:
        path = root / item.path
        make_folder(path.parent)
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(beside, flags, 0o600), "wb") as file:
            file.write(item.data)
            os.fchmod(file.fileno(), stat.S_IMODE(item.mode))
        beside.replace(path)
    return len(items)


def install_role(arguments: Sequence[str]) -> int:
    """Run `setup.py install_role`; answers the exit code."""
    parser = argparse.ArgumentParser("setup.py install_role", description="Install one role.")
    parser.add_argument("--role", required=True, choices=sorted(ROLES))
    parser.add_argument("--root", required=True, type=Path, help="where / of the qube begins")
    options = parser.parse_args(arguments)
    try:
        count = install(ROLES[options.role], options.root)
    except OSError as error:
        print(f"error: cannot install {options.role}: {error}", file=sys.stderr)
        print("hint: use a whole clone and a folder that you may write to", file=sys.stderr)
        return 1
    print(f"{options.role}: {count} files under {options.root}")
    return 0


def developer_install() -> None:
    """Hand the whole table to setuptools: `pip install -e .` gives every package and command."""
    from setuptools import find_packages, setup

    sources = sorted({source for role in ROLES.values() for source in role.packages})
    tops = {Path(source).name: source for source in sources}
    packages = [
        name
        for top, source in tops.items()
        for name in (top, *(f"{top}.{sub}" for sub in find_packages(str(HERE / source))))
    ]
    commands = [command for role in ROLES.values() for command in role.commands]
    setup(
        name="qubes-borg",
        version=(HERE / "version").read_text(encoding="ascii").strip(),
        description="Encrypted off-site backups of Qubes OS qubes with borg",
        license="GPL-2.0-or-later",
        python_requires=">=3.11",
        packages=packages,
        package_dir=tops,
        package_data={top: ["**/*.j2", "**/*.toml"] for top in tops},
        install_requires=["jinja2", "pexpect"],
        entry_points={"console_scripts": [f"{c.name} = {c.module}:main" for c in commands]},
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["install_role"]:
        sys.exit(install_role(sys.argv[2:]))
    developer_install()
