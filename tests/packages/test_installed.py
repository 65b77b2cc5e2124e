"""The packages in a root, by the real dpkg and rpm: any set together, an upgrade, a removal.

The lab's Debian tree has what the Debian packages depend on. For rpm an empty package stands for
what Fedora and dom0 offer: it names exactly that, so that a dependency nobody offers is noticed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import template
from packages import built
from packages.root import Root

# What Fedora 43, Qubes' own repository and dom0 offer under these names.
OFFERED = ("borgbackup = 1.4.1", "borgmatic = 2.0.13", "cronie = 1.7", "findutils = 4.10",
           "openssh = 10.0", "openssh-clients = 10.0", "python3 = 3.14", "python3-jinja2 = 3.1",
           "python3-pexpect = 4.9", "util-linux = 2.41", "/bin/sh", "/usr/bin/python3")
OFFERED_IN_DOM0 = ("findutils = 4.10", "python3 = 3.13", "python3-qubesadmin = 4.3.33", "/bin/sh",
                   "qubes-core-admin-client = 4.3.33", "qubes-core-qrexec-dom0 = 4.3.12",
                   "/usr/bin/python3")
# A user's own, which no installation, upgrade or removal may touch.
KEPT = {
    "home/user/.ssh/backups/borgpass": "a secret\n",
    "home/user/.config/qubes-borg/settings": "interval_hours = 6\n",
    "home/user/.config/qubes-borg/settings.toml": "of dom0\n",
    "home/user/.local/state/qubes-borg/last.json": "{}\n",
    "home/user/.local/share/qubes-borg/records/work": "what opens it\n",
}
DPKG = """
mkdir -p @/packages
for word; do
    case "$word" in /*) cp "$word" @/packages; word="/packages/${word##*/}" ;; esac
    shift; set -- "$@" "$word"
done
chroot @/ /usr/bin/dpkg "$@"; code=$?
rm -r @/packages; exit "$code"
"""
POLICY = "etc/qubes/policy.d/70-qubes-borg.policy"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """Debian 13 with a user's files."""
    root = Root(template.ensure(), tmp_path)
    for path, content in KEPT.items():
        root.write(path, content)
    yield root
    root.remove()


@pytest.fixture(scope="session")
def offers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The empty packages that stand for a Fedora template and for dom0."""
    work = tmp_path_factory.mktemp("offers")
    made = {}
    for name, provided in (("fedora", OFFERED), ("dom0", OFFERED_IN_DOM0)):
        spec = work / f"{name}.spec"
        spec.write_text(
            f"Name: {name}\nVersion: 1\nRelease: 1\nSummary: Stand-in\nLicense: none\n"
            "BuildArch: noarch\n" + "".join(f"Provides: {each}\n" for each in provided)
            + "%description\nOffers names.\n%files\n")
        built.run("/usr/bin/rpmbuild", "-bb", "--define", f"_topdir {work}", spec)
        made[name] = work / f"RPMS/noarch/{name}-1-1.noarch.rpm"
    return made


def rpm(root: Root, *words: str | Path) -> str:
    """Run rpm on the root; Debian's rpm would look for its database elsewhere."""
    return root.run("/usr/bin/rpm", "--root", "@", "--dbpath", "/var/lib/rpm", *map(str, words))


def dpkg(root: Root, *words: str | Path) -> str:
    """Run the root's own dpkg in it, with the packages laid there."""
    return root.run("/bin/sh", "-c", DPKG, "sh", *map(str, words))


def names(*roles: str) -> tuple[str, ...]:
    """Answer the packages of some roles by their names."""
    return tuple(f"qubes-borg-{role}" for role in roles)


def is_kept(root: Root) -> bool:
    """Answer whether the user's files are as they were."""
    return {path: root.read(path) for path in KEPT} == KEPT


def assert_left_and_told(root: Root, said: str, before: set[str]) -> None:
    """After a removal only the user's files are left, and it has said where they are."""
    for path in (".ssh/backups", ".config/qubes-borg", ".local/state/qubes-borg",
                 ".local/share/qubes-borg", ".local/share/qubes-borg/records"):
        assert path in said
    assert is_kept(root) and root.files() == before


def test_each_role_alone_and_all_roles_install_in_debian(
    root: Root, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two of them that cannot be together would be found with all of them."""
    packages = built.build("deb", "tarball", tmp_path_factory)
    common = built.of_role(packages, "common")
    before = root.files()
    for role in built.ROLES[1:]:
        dpkg(root, "--install", common, built.of_role(packages, role))
        dpkg(root, "--purge", *names(role, "common"))
        assert root.files() == before

    dpkg(root, "--install", *(built.of_role(packages, role) for role in built.ROLES))

    assert "\nStatus: install ok installed\n" in dpkg(root, "--status", *names(*built.ROLES))
    assert dpkg(root, "--audit") == ""
    # The lab's tree takes no documents and no pages of the manual from any package.
    bad = dpkg(root, "--verify", *names(*built.ROLES)).splitlines()
    left_out = ("/usr/share/doc/", "/usr/share/man/")
    assert not [line for line in bad if not any(folder in line for folder in left_out)]
    assert is_kept(root)


def test_a_role_without_what_all_need_is_refused_in_debian(
    root: Root, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = built.of_role(built.build("deb", "tarball", tmp_path_factory), "worker")

    done = root.call("/bin/sh", "-c", DPKG, "sh", "--install", str(package))

    assert done.returncode != 0 and "qubes-borg-common" in done.stdout


def test_removal_in_debian_leaves_a_users_files_and_says_so(
    root: Root, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = built.build("deb", "tarball", tmp_path_factory)
    before = root.files()
    dpkg(root, "--install", *(built.of_role(packages, role) for role in built.ROLES))
    # A template with compiled modules: they belong to no package, and must go as well.
    assert [path for path in root.files() - before if path.endswith(".pyc")]

    said = dpkg(root, "--remove", *names(*built.ROLES))

    assert_left_and_told(root, said, before)


def test_an_upgrade_in_debian_takes_away_what_is_gone_and_says_nothing(
    root: Root, tmp_path_factory: pytest.TempPathFactory
) -> None:
    older, newer = (built.build("deb", source, tmp_path_factory) for source in ("older", "tarball"))
    dpkg(root, "--install", *(built.of_role(older, role) for role in built.ROLES))
    assert "etc/qubes-rpc/qborg.Gone" in root.files()

    said = dpkg(root, "--install", *(built.of_role(newer, role) for role in built.ROLES))

    left = [path for path in root.files() if "gone" in path.lower() and "qborg" in path]
    assert not left and "stays" not in said and is_kept(root)
    assert f"Version: {built.VERSION}\n" in dpkg(root, "--status", "qubes-borg-client")


def test_each_role_alone_and_all_roles_install_by_rpm(
    root: Root, offers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = built.build("rpm", "tarball", tmp_path_factory)
    rpm(root, "--install", offers["fedora"])
    before = root.files()
    for role in built.ROLES[1:]:
        rpm(root, "--install", *(built.of_role(packages, each) for each in ("common", role)))
        rpm(root, "--erase", *names("common", role))
        assert root.files() == before

    rpm(root, "--install", *(built.of_role(packages, role) for role in built.ROLES))

    assert rpm(root, "--verify", *names(*built.ROLES)) == "" and is_kept(root)
    # The modules of each package are compiled for the Python that is there.
    compiled = {path.split("/")[3] for path in root.files() if path.endswith(".pyc")}
    assert {"qborg_wire", "qborg_service", "qborg_borg", "qborg_client", "qborg_worker"} <= compiled


def test_a_role_without_what_all_need_is_refused_by_rpm(
    root: Root, offers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = built.of_role(built.build("rpm", "tarball", tmp_path_factory), "worker")
    rpm(root, "--install", offers["fedora"])

    done = root.call("/usr/bin/rpm", "--root", "@", "--dbpath", "/var/lib/rpm", "-i", str(package))

    assert done.returncode != 0 and "qubes-borg-common" in done.stdout


def test_removal_by_rpm_leaves_a_users_files_and_says_so(
    root: Root, offers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The words are those of Debian's packages: both have the same scripts."""
    packages = built.build("rpm", "tarball", tmp_path_factory)
    rpm(root, "--install", offers["fedora"])
    before = root.files()
    rpm(root, "--install", *(built.of_role(packages, role) for role in built.ROLES))
    assert [path for path in root.files() - before if path.endswith(".pyc")]

    said = rpm(root, "--erase", *names(*built.ROLES))

    assert_left_and_told(root, said, before)


def test_an_upgrade_by_rpm_takes_away_what_is_gone_and_says_nothing(
    root: Root, offers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    older, newer = (built.build("rpm", source, tmp_path_factory) for source in ("older", "tarball"))
    rpm(root, "--install", offers["fedora"])
    rpm(root, "--install", *(built.of_role(older, role) for role in built.ROLES))
    assert "etc/qubes-rpc/qborg.Gone" in root.files()

    said = rpm(root, "--upgrade", *(built.of_role(newer, role) for role in built.ROLES))

    files = root.files()
    left = [path for path in files if "gone" in path.lower() and "qborg" in path]
    assert not left and "stays" not in said and is_kept(root)
    # Compiled after the old version's modules were taken away, not before.
    assert [path for path in files if "qborg_client/__pycache__" in path]


def test_dom0_is_installed_upgraded_and_removed(
    root: Root, offers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The policy of the new version is in force even if a person changed the old one."""
    older, newer = (built.of_role(built.build("rpm", source, tmp_path_factory), "dom0")
                    for source in ("older", "tarball"))
    rpm(root, "--install", offers["dom0"])
    before = root.files()
    rpm(root, "--install", older)
    assert root.run("/usr/bin/stat", "--format=%a %G", f"@/{POLICY}").startswith("664 ")
    groups = rpm(root, "--query", "--qf", "[%{FILEGROUPNAME}\n]", "qubes-borg-dom0")
    assert groups.split().count("qubes") == 1
    root.write(POLICY, "a person's own\n")
    root.write("etc/qubes/policy.d/30-user.policy", "a person's own\n")
    tops = {name: f"srv/salt/_tops/{name}.top"
            for name in ("base/qubes-borg", "user/qubes-borg.remove", "base/mine")}
    for path, to in zip(tops.values(), ("qubes-borg/init", "qubes-borg/remove", "mine"),
                        strict=True):  # fmt: skip
        root.run("/bin/mkdir", "-p", f"@/{path.rpartition('/')[0]}")
        root.run("/bin/ln", "-s", f"/srv/salt/{to}.top", f"@/{path}")

    said = rpm(root, "--upgrade", newer)

    assert "stays:" not in said and is_kept(root)
    assert "qborg.InstallBundle" in root.read(POLICY) and "qborg.Gone" not in root.read(POLICY)
    assert root.read(f"{POLICY}.rpmsave") == "a person's own\n"
    assert set(tops.values()) < root.files()

    said = rpm(root, "--erase", "qubes-borg-dom0")

    # An enabled top of ours would be a link that leads nowhere; a stranger's is left.
    own = {"etc/qubes/policy.d/30-user.policy", f"{POLICY}.rpmsave", tops["base/mine"]}
    assert root.files() - before == own and before <= root.files() and is_kept(root)
    for path in (".config/qubes-borg", ".local/state/qubes-borg", "x-qborg", "qvm-borg-revoke"):
        assert path in said
