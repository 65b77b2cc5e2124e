"""What is in each package: exactly its role's files, with the modes and owners of the table."""

import re
import subprocess
from pathlib import Path

import pytest

from packages import built
from packages.built import File
from static import tree

ALL = (*(("deb", role) for role in built.ROLES), *(("rpm", role) for role in built.ROLES),
       ("rpm", "dom0"))
POLICY = "etc/qubes/policy.d/70-qubes-borg.policy"


def own(kind: str, role: str) -> set[str]:
    """Answer what a format adds to the role's files: licence, changelog, compiling anew."""
    if kind == "deb":
        folder = f"usr/share/doc/qubes-borg-{role}"
        compiling = f"usr/share/python3/runtime.d/qubes-borg-{role}.rtupdate"
        return {f"{folder}/changelog.gz", f"{folder}/copyright", compiling}
    licence = f"usr/share/licenses/qubes-borg-{role}-{built.VERSION}/LICENSE"
    return {licence} if role in ("common", "dom0") else set()


def installed(role: str, root: Path) -> dict[str, int]:
    """Answer what `make install-ROLE` lays down, pages of the manual packed as packages do."""
    built.run("/usr/bin/make", "--silent", f"install-{role}", f"DESTDIR={root}")
    found = {}
    for path in root.rglob("*"):
        if not path.is_dir() or path.is_symlink():
            name = str(path.relative_to(root))
            name += ".gz" if name.startswith("usr/share/man/") else ""
            found[name] = path.lstat().st_mode & 0o7777
    return found


@pytest.mark.parametrize(("kind", "role"), ALL, ids=["-".join(each) for each in ALL])
def test_a_package_holds_what_make_install_lays_down(
    kind: str, role: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = built.of_role(built.build(kind, "tarball", tmp_path_factory), role)
    files = built.files_of(package)
    wanted = {name: File(mode, "root/root") for name, mode in installed(role, tmp_path).items()}
    if role == "dom0":
        # As all policy: its group may change it, and what was changed is not lost.
        wanted[POLICY] = File(0o664, "root/qubes", configuration=True)

    added = set(files) - set(wanted)

    assert {name: file for name, file in files.items() if name not in added} == wanted
    assert added == own(kind, role)
    assert all(file.owner == "root/root" for name, file in files.items() if name != POLICY)


@pytest.mark.parametrize(("kind", "role"), ALL, ids=["-".join(each) for each in ALL])
def test_a_package_fits_every_python_and_every_machine(
    kind: str, role: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = built.of_role(built.build(kind, "tarball", tmp_path_factory), role)

    assert not [name for name in built.files_of(package)
                if re.search(r"python3\.\d|cpython|\.pyc$|__pycache__|(site|dist)-packages", name)]
    assert re.search(r"[._](noarch\.rpm|all\.deb)$", package.name)


def test_no_service_of_a_qube_is_ever_in_dom0(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What lies in /etc/qubes-rpc of dom0 can be called by qubes, if a policy lets them."""
    package = built.of_role(built.build("rpm", "tarball", tmp_path_factory), "dom0")
    names = set(built.files_of(package))

    assert not [name for name in names if "qubes-rpc" in name or "/rpc/" in name]
    tops = {name.split("/")[3] for name in names if name.startswith("usr/lib/qubes-borg/")}
    assert tops == {"qborg_wire", "qvm_borg"}


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_dom0s_files_are_in_no_package_of_a_qube(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = built.build(kind, "tarball", tmp_path_factory)

    for role in built.ROLES:
        names = built.files_of(built.of_role(packages, role))
        assert not [name for name in names if re.search(r"qvm|policy|systemd|srv/", name)], role


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_two_packages_share_no_file(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    packages = built.build(kind, "tarball", tmp_path_factory)
    names = [name for role in built.ROLES for name in built.files_of(built.of_role(packages, role))]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("role", [*built.ROLES, "dom0"])
def test_no_rpm_requires_an_owner_of_files(
    role: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """rpm 4.19 would make one of each owner, and in Qubes no package provides the group qubes."""
    package = built.of_role(built.build("rpm", "tarball", tmp_path_factory), role)
    wanted = built.run("/usr/bin/rpm", "-qp", "--requires", package).decode().splitlines()

    assert not [each for each in wanted if each.startswith(("group(", "user("))]


def test_the_policy_is_replaced_by_an_upgrade_even_if_it_was_changed(
    tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Else the services of a new version would be missing in what denies them by name."""
    package = built.of_role(built.build("rpm", "tarball", tmp_path_factory), "dom0")
    form = "[%{FILENAMES} %{FILEFLAGS:fflags}\n]"
    marks = built.run("/usr/bin/rpm", "-qp", "--queryformat", form, package).decode()

    assert f"\n/{POLICY} c\n" in f"\n{marks}"


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_the_version_is_the_one_of_the_file(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = built.build(kind, "tarball", tmp_path_factory)

    assert packages and all(built.VERSION in path.name for path in packages)


def test_versions_that_differ_are_refused(tmp_path: Path) -> None:
    built.copy_tree(tmp_path)
    (tmp_path / "version").write_text("9.9.9\n")

    done = subprocess.run(["/usr/bin/python3", "rpm_spec/build.py", "deb"], cwd=tmp_path,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=built.SECONDS)

    assert done.returncode == 1 and "9.9.9" in done.stderr and built.VERSION in done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_qubes_builder_is_told_of_every_spec_and_of_debian() -> None:
    listed = set(re.findall(r"^    - (.+)$", tree.text(".qubesbuilder"), re.M))
    specs = {name.removesuffix(".in") for name in tree.files() if name.endswith(".spec.in")}

    assert listed == specs | {"debian"}
    for name in specs:
        slots = set(re.findall(r"@([A-Z]+)@", tree.text(f"{name}.in")))
        assert slots == {"VERSION", "REL", "CHANGELOG"}
