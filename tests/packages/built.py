"""The packages, built once for a whole run from copies of this tree, and what they hold.

Used by the tests of this folder. Builds with the program that `make rpm` and `make deb` run.
"""

import fcntl
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from static import tree
from static.roles import VM_ROLES

VERSION = tree.text("version").strip()
OLDER = "0.0.9"
ROLES = VM_ROLES  # common first
LINK = 0o777
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nowhere"}
SECONDS = 600
# What the older version has and the newer one has not.
GONE = {
    "vm-services/qborg_client/gone/__init__.py": '"""Gone."""\n',
    "qubes-rpc/client/qborg.Gone": "#!/usr/bin/python3 -I\n",
}


def run(
    *command: str | Path, folder: Path = tree.ROOT, umask: int = 0o022, **variables: str
) -> bytes:
    """Run a program that must succeed, and answer what it printed."""
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=ENVIRONMENT | variables, umask=umask,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, f"{command}: {said}"
    return done.stdout


def copy_tree(target: Path) -> None:
    """Lay out what a release tarball of this tree would hold."""
    for name in tree.files():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree.ROOT / name, path)
        path.chmod((tree.ROOT / name).stat().st_mode & 0o777)


def make_older(target: Path) -> None:
    """Turn a copy into the version before: another number, and files that are gone since."""
    (target / "version").write_text(f"{OLDER}\n", encoding="ascii")
    changelog = target / "debian/changelog"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace(f"({VERSION})", f"({OLDER})", 1), encoding="utf-8")
    for name, content in GONE.items():
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_text(content, encoding="ascii")
    policy = target / "policy/70-qubes-borg.policy"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text + "qborg.Gone * * * deny\n", encoding="utf-8")


def build(kind: str, source: str, factory: pytest.TempPathFactory) -> list[Path]:
    """Answer the packages of one kind (deb, rpm), built in one process of the run.

    SOURCE is `tarball` or `older`.
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place = base / f"built-{source}" / source  # another path for each, of another length
    with open(base / f"built-{source}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            copy_tree(place)
            if source == "older":
                make_older(place)
        if not (done := place / "build" / f"{kind}.done").exists():
            run("/usr/bin/make", kind, folder=place)
            done.touch()
    return sorted((place / "build" / kind).iterdir())


def of_role(packages: list[Path], role: str) -> Path:
    """Answer the one package of a role, no source."""
    found = [path for path in packages if re.match(rf"qubes-borg-{role}[-_]\d", path.name)
             and not path.name.endswith(".src.rpm")]
    assert len(found) == 1, packages
    return found[0]


@dataclass(frozen=True)
class File:
    """One file of a package as its format tells of it."""

    mode: int
    owner: str
    configuration: bool = False


def files_of(package: Path) -> dict[str, File]:
    """Answer every file and link of a package, by its path below the root."""
    return _rpm_files(package) if package.suffix == ".rpm" else _deb_files(package)


def _rpm_files(package: Path) -> dict[str, File]:
    # --dump: path size mtime digest mode owner group isconfig isdoc rdev symlink
    found = {}
    for line in run("/usr/bin/rpm", "-qp", "--dump", package).decode().splitlines():
        path, _size, _time, _digest, mode, owner, group, config, *_ = line.split(" ")
        if not mode.startswith("04"):
            found[path[1:]] = File(int(mode, 8) & 0o7777, f"{owner}/{group}", config == "1")
    return found


def _deb_files(package: Path) -> dict[str, File]:
    control = run("/usr/bin/dpkg-deb", "--info", package).decode()
    kept: set[str] = set()
    if re.search(r"\bconffiles\b", control):
        kept = set(run("/usr/bin/dpkg-deb", "--info", package, "conffiles").decode().split())
    found = {}
    for line in run("/usr/bin/dpkg-deb", "--contents", package).decode().splitlines():
        kind, owner, _size, _day, _time, path, *_link = line.split()
        if not kind.startswith("d"):
            bits = "".join("0" if letter == "-" else "1" for letter in kind[1:])
            found[path[2:]] = File(int(bits, 2), owner, f"/{path[2:]}" in kept)
    return found
