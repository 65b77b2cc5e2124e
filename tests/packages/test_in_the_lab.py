"""The suite on the installed packages, with nothing of the checkout: a qube's whole way.

The template begins with the version before, so that what that version left in the qubes meets the
upgrade. dom0 has the rpm; the lab's dom0 is a Debian tree, so what it depends on is not asked for.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from packages import built
from scenarios import person
from static import tree

TEMPLATE = "debian-13"
NAMES = [f"qubes-borg-{role}" for role in built.ROLES]
LETTER, CONTENT = "/home/user/letter", b"dear\n" * 1000
OURS = ("find", "/etc", "/usr", "/srv", "(", "-name", "*qborg*", "-o", "-name", "*qubes-borg*",
        "-o", "-name", "borgbak", ")")
FEATURES = "import qubesadmin; print(*qubesadmin.Qubes().domains['debian-13'].features)"
# All that the qube keeps of ours, with what is in it.
KEPT = ("sh", "-c", "cd; find .ssh .config/qubes-borg .config/borg .local/state/qubes-borg -type f "
        "-o -type l | sort | xargs sha256sum; readlink .ssh/backups; crontab -l")


@pytest.fixture
def lab(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab on packages: the older version in the template, this one in dom0."""
    world = tree.text("tests/packages/world.toml")
    older = built.build("deb", "older", tmp_path_factory)[0].parent
    newer = built.build("rpm", "tarball", tmp_path_factory)[0].parent
    path = tmp_path / "world.toml"
    path.write_text(world.replace("DEB/", f"{older}/").replace("RPM/", f"{newer}/"))
    with Lab.up(path) as lab:
        yield lab


def in_template(lab: Lab, *command: str, packages: tuple[Path, ...] = ()) -> str:
    """Run a program in the template as a person does who installs there; answer what it said."""
    lab.do("start", TEMPLATE)
    for package in packages:
        lab.exec(TEMPLATE, ["dd", f"of=/tmp/{package.name}"], user="root",
                 input=package.read_bytes(), check=True)
    words = [*command, *(f"/tmp/{package.name}" for package in packages)]
    done = lab.exec(TEMPLATE, words, user="root", timeout=300)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    lab.do("shutdown", TEMPLATE)
    return said


def restart(lab: Lab, *qubes: str) -> None:
    """Let qubes see what their template has now."""
    for qube in qubes:
        if lab.qubes()[qube]["state"] == "Running":
            lab.do("shutdown", qube)
        lab.do("start", qube)


def offered(lab: Lab) -> set[str]:
    """Answer which of our services the template offers, by what qubesd knows."""
    printed = lab.run(["python3", "-c", FEATURES], timeout=60).stdout.decode().split()
    return {name for name in printed if name.startswith("supported-rpc.qborg.")}


def installed(lab: Lab) -> set[str]:
    """Answer the versions of our packages in the template."""
    return set(in_template(lab, "dpkg-query", "--show", "--showformat=${Version}\\n",
                           *NAMES).split())


def comes_back(lab: Lab, place: str) -> None:
    """Back up and restore in work, by dom0's commands."""
    person.runs(lab, "qvm-borg-backup", "work")
    person.runs(lab, "qvm-borg-restore", "work", LETTER, "--to-directory", f"/home/user/{place}")
    back = lab.exec("work", ["cat", f"/home/user/{place}{LETTER}"], check=True)
    assert back.stdout == CONTENT


def test_from_an_enrolment_over_an_upgrade_and_a_removal_to_a_restore(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    debs = tuple(path for path in built.build("deb", "tarball", tmp_path_factory)
                 if path.suffix == ".deb")
    assert installed(lab) == {built.OLDER}
    person.sets_up(lab, "--vault", "vault")
    person.runs(lab, "qvm-borg-enroll", "work")
    lab.exec("work", ["dd", f"of={LETTER}"], input=CONTENT, check=True)

    said = in_template(lab, "dpkg", "--install", packages=debs)
    assert "stays" not in said and installed(lab) == {built.VERSION}
    everything = offered(lab)
    assert "supported-rpc.qborg.RunBackup" in everything
    assert "supported-rpc.qborg.Gone" not in everything
    restart(lab, "borg-maintenance", "work")
    comes_back(lab, "after-upgrade")

    before = lab.exec("work", KEPT, check=True).stdout
    said = in_template(lab, "dpkg", "--remove", *NAMES)
    assert ".ssh/backups" in said and "qvm-borg-revoke" in said
    assert offered(lab) == set() and in_template(lab, *OURS) == ""
    restart(lab, "work")
    assert lab.exec("work", KEPT, check=True).stdout == before
    assert b"borgpass" in before and b"qborg-run" in before

    in_template(lab, "dpkg", "--install", packages=debs)
    assert offered(lab) == everything
    restart(lab, "work")
    comes_back(lab, "after-removal")
    archives = lab.exec("work", ["borgbak", "list", "--short"], check=True).stdout.split()
    assert len(archives) == 3
