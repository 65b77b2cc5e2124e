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
MANUAL = "usr/share/man/man1"
SALT = "srv/salt/qubes-borg"
STUB = """\
#!/usr/bin/python3 -I
import sys; sys.path.insert(0, "/usr/lib/qubes-borg")
from {module} import main; sys.exit(main())
"""
PACKAGE_SUFFIXES = frozenset({".py", ".j2", ".toml", ".txt"})  # all that a package installs


@dataclass(frozen=True)
class Command:
    """A program in /usr/bin, the module whose main() it runs; its page is docs/man/NAME.1."""

    name: str
    module: str


@dataclass(frozen=True)
class Role:
    """What one trust domain gets: packages (SOURCE/PACKAGE), commands, services, the rest."""

    packages: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    rpc: str | None = None  # folder under qubes-rpc/
    completions: str | None = None  # folder with what bash's TAB does behind the commands
    policy: tuple[str, ...] = ()  # files under policy/
    units: str | None = None  # folder with units for the user's systemd
    salt: str | None = None  # folder with states; installed whole
    documents: tuple[str, ...] = ()  # what a person may need where there is no network


@dataclass(frozen=True)
class Item:
    """One file to install: where below the root, what it holds, its mode; or where it leads."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    link: str | None = None


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
        completions="dom0/completions",
        policy=("70-qubes-borg.policy",),
        units="dom0/systemd",
        salt="salt/qubes-borg",
        documents=("CHANGELOG.md", "README.md", "docs/exit-codes.md", "docs/install.md",
                   "docs/recovery.md", "docs/salt.md", "docs/status.md", "docs/threat-model.md"),
    ),
    "common": Role(
        packages=("dom0/qborg_wire", "vm-services/qborg_service", "vm-services/qborg_borg"),
        documents=("README.md",),
    ),
    "client": Role(
        packages=("vm-services/qborg_client",),
        commands=(
            Command("borgbak", "qborg_client.tools.borgbak"),
            Command("qborg-install", "qborg_client.tools.install"),
            Command("qborg-run", "qborg_client.tools.run"),
        ),
        rpc="client",
        completions="vm-services/completions/client",
        documents=("docs/borgbak.md",),
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
        documents=("docs/recovery.md",),
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
            yield Item(target, path.read_bytes())


def rpc_items(folder: Path) -> Iterator[Item]:
    """Yield each service and the link by which it is found; see docs/adr/0015.

    The link is no configuration file, so a package's removal takes it away: a template would else
    go on offering a service whose program is gone.
    """
    for path in sorted(folder.glob("qborg.*")):
        program = f"{LIBRARY}/rpc/{path.name}"
        yield Item(program, path.read_bytes(), 0o755)
        yield Item(f"etc/qubes-rpc/{path.name}", link=f"/{program}")


def folder_items(folder: Path, target: str, pattern: str) -> Iterator[Item]:
    """Yield the files of a folder that fit, with their paths below it; raises FileNotFoundError."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there")
    for path in sorted(folder.rglob(pattern)):
        if path.is_file():
            yield Item(f"{target}/{path.relative_to(folder)}", path.read_bytes())


def role_items(name: str) -> Iterator[Item]:
    """Yield every file of the role of that name, the same bytes and modes on every machine."""
    role = ROLES[name]
    for source in role.packages:
        yield from package_items(source)
    for command in role.commands:
        yield Item(f"usr/bin/{command.name}", STUB.format(module=command.module).encode(), 0o755)
        page = f"{command.name}.1"
        yield Item(f"{MANUAL}/{page}", (HERE / "docs/man" / page).read_bytes())
    if role.rpc is not None:
        yield from rpc_items(HERE / "qubes-rpc" / role.rpc)
    if role.completions is not None:
        yield from folder_items(HERE / role.completions, COMPLETIONS, "*")
    for rules in role.policy:
        yield Item(f"etc/qubes/policy.d/{rules}", (HERE / "policy" / rules).read_bytes())
    if role.units is not None:
        yield from folder_items(HERE / role.units, "usr/lib/systemd/user", "qubes-borg-*")
    if role.salt is not None:
        yield from folder_items(HERE / role.salt, SALT, "*")
    for document in role.documents:  # with their folder, so that links from one to another hold
        target = f"usr/share/doc/qubes-borg-{name}/{document}"
        yield Item(target, (HERE / document).read_bytes())


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, 0755 whatever the umask; one that is there stays as it is."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)


def write(item: Item, path: Path) -> None:
    """Make one file or link where there is nothing; raises OSError."""
    if item.link is not None:
        path.symlink_to(item.link)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(item.data)
        os.fchmod(file.fileno(), stat.S_IMODE(item.mode))


def install(name: str, root: Path) -> int:
    """Lay a role under a root, modules of an older version removed; answers how many files."""
    items = list(role_items(name))  # read first: what cannot be read replaces nothing
    for source in ROLES[name].packages:
        old = root / LIBRARY / Path(source).name
        if old.exists():
            shutil.rmtree(old)
    for item in items:
        path = root / item.path
        make_folder(path.parent)
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        write(item, beside)
        beside.replace(path)
    return len(items)


def install_role(arguments: Sequence[str]) -> int:
    """Run `setup.py install_role`; answers the exit code."""
    parser = argparse.ArgumentParser("setup.py install_role", description="Install one role.")
    parser.add_argument("--role", required=True, choices=sorted(ROLES))
    parser.add_argument("--root", required=True, type=Path, help="where / of the qube begins")
    options = parser.parse_args(arguments)
    try:
        count = install(options.role, options.root)
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
        package_data={top: ["**/*.j2", "**/*.toml", "**/*.txt"] for top in tops},
        install_requires=["jinja2", "pexpect"],
        entry_points={"console_scripts": [f"{c.name} = {c.module}:main" for c in commands]},
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["install_role"]:
        sys.exit(install_role(sys.argv[2:]))
    developer_install()
