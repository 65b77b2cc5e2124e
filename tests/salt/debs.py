"""The Debian packages that the states install: Debian's own, fetched once, and ours.

Runs on the host. What is fetched stays in the lab's cache; a qube gets it as a repository in a
folder, since templates of the lab have no network.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import template
from packages import built

ROOT = Path(__file__).resolve().parents[2]
# Of the lab's tree, what a fresh template of Qubes need not have. All of it comes back by Salt.
PURGED = (
    "borgmatic", "borgbackup", "cron", "cron-daemon-common", "openssh-client", "qrencode",
    "python3-pexpect", "python3-ptyprocess", "python3-jinja2", "python3-markupsafe",
)  # fmt: skip
# Nothing of ours in a template needs these, so they never come back.
PURGED_FOR_GOOD = (
    "git", "git-man", "keepassxc-minimal", "less", "make", "openssh-server", "openssh-sftp-server",
)  # fmt: skip
OF_DOM0 = ("rpm", "sudo")  # Qubes' dom0 has them, and the lab's tree does not
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}


def _run(*command: str | Path, **rest: str) -> bytes:
    """Run a program to its end and answer what it prints; CalledProcessError tells why not."""
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, check=False,
        timeout=900, cwd=ROOT, env=_ENVIRONMENT | rest,
    )  # fmt: skip
    assert done.returncode == 0, (command, (done.stdout + done.stderr).decode())
    return done.stdout


def index(folder: Path) -> None:
    """Write the list of a folder's packages that apt reads."""
    entries = []
    for path in sorted(folder.glob("*.deb")):
        fields = _run("/usr/bin/dpkg-deb", "--field", path).decode().rstrip("\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        entries.append(f"{fields}\nFilename: ./{path.name}\nSize: {size}\nSHA256: {digest}\n")
    (folder / "Packages").write_text("\n".join(entries), encoding="utf-8")


def repository(folder: Path, *sources: Path) -> Path:
    """Fill a folder with the packages of others and their list; answers it."""
    folder.mkdir()
    for source in sources:
        for path in source.glob("*.deb"):
            shutil.copy(path, folder)
    index(folder)
    return folder


def _apt(tree: Path, place: Path, names: Sequence[str]) -> None:
    """Have apt fetch into PLACE what the tree would need to have NAMES, which it has lost."""
    for folder in ("etc/apt", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (place / folder).mkdir(parents=True)
    shutil.copy(tree / "etc/apt/sources.list", place / "etc/apt")
    status = (tree / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n")
    kept = [entry for entry in status if not re.match(rf"Package: ({'|'.join(names)})\n", entry)]
    (place / "status").write_text("\n\n".join(kept), encoding="utf-8")
    proxies = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
    apt = ("/usr/bin/apt-get", "--quiet", "--yes", "-o", f"Dir={place}",
           "-o", f"Dir::State::status={place}/status", "-o", "APT::Sandbox::User=root",
           "-o", f"Dir::Etc::TrustedParts={tree}/etc/apt/trusted.gpg.d",
           "-o", "Acquire::Languages=none", "-o", "Debug::NoLocking=true")
    _run(*apt, "update", **proxies)
    _run(*apt, "--no-install-recommends", "--download-only", "install", *names, **proxies)


def fetched(names: Sequence[str]) -> Path:
    """Answer the folder in the cache with Debian's packages of NAMES; fetched if need be."""
    tree = template.ensure()
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    folder = template.cache_dir() / f"debs-{tree.name}-{digest}"
    if not folder.is_dir():
        place = folder.with_suffix(f".{os.getpid()}")
        _apt(tree, place, names)
        archives = place / "var/cache/apt/archives"
        shutil.rmtree(archives / "partial")
        archives.rename(place.with_suffix(".done"))
        shutil.rmtree(place)
        place.with_suffix(".done").rename(folder)
    return folder


def ours(folder: Path, factory: pytest.TempPathFactory) -> Path:
    """Fill a folder with our own packages, as `make deb` builds them; answers it."""
    folder.mkdir()
    for path in built.build("deb", "tarball", factory):
        if path.suffix == ".deb":
            shutil.copy(path, folder)
    return folder


def of_dom0(factory: pytest.TempPathFactory) -> Path:
    """Answer our own package for dom0, as `make rpm` builds it."""
    return built.of_role(built.build("rpm", "tarball", factory), "dom0")


def of_qubes(folder: Path) -> Path:
    """Fill a folder with the package of Qubes that the states ask for, here an empty one."""
    name, control = "qubes-core-agent-networking", folder / "tree/DEBIAN/control"
    control.parent.mkdir(parents=True, mode=0o755)
    control.write_text(
        f"Package: {name}\nVersion: 4.3\nArchitecture: all\nMaintainer: the lab <lab@lab>\n"
        f"Description: {name}, made for a test\n", encoding="ascii")  # fmt: skip
    _run("/usr/bin/dpkg-deb", "--root-owner-group", "--build", folder / "tree",
         folder / f"{name}_4.3_all.deb")  # fmt: skip
    shutil.rmtree(folder / "tree")
    return folder
