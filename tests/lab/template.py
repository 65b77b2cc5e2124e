"""The Debian 13 tree that every machine of the lab starts from, built once and kept in a cache.

Runs on the host: `ensure()` in the caller, the build itself in a child that entered the user
namespace. Knows nothing of qubes: roles and layers above the tree are kit.py's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import inside

SUITE = "trixie"
PACKAGES = (
    "borgbackup", "borgmatic", "ca-certificates", "cron", "git", "iproute2", "keepassxc-minimal",
    "less", "make", "openssh-client", "openssh-server", "procps", "python3", "python3-jinja2",
    "python3-pexpect", "qrencode",
)  # fmt: skip

# Documents, languages, and what Qt brings to draw in three dimensions: keepassxc-cli draws nothing.
LEFT_OUT = (
    "/usr/share/doc/*", "/usr/share/keepassxc/docs/*", "/usr/share/locale/*", "/usr/share/man/*",
    "/usr/lib/*/libLLVM*", "/usr/lib/*/libgallium*", "/usr/lib/*/libz3*",
)  # fmt: skip

# Run by mmdebstrap in the finished tree; part of the cache's key, so a change builds anew.
_CUSTOMIZE = r"""
set -eu
root=$1
chroot "$root" groupadd --system qubes
chroot "$root" useradd --uid 1000 --user-group --create-home --shell /bin/bash --groups qubes user
chroot "$root" passwd --quiet --delete user
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root"/etc/ssh/ssh_host_*
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
mkdir -p "$root/rw" "$root/etc/qubes-rpc" "$root/etc/qubes" "$root/var/lib/qubes"

# What Qubes' package of this name does after each installation; its program is in the VM's layer.
agent="$root/var/tmp/qubes-core-agent"
mkdir -p -m 755 "$agent/DEBIAN"
cat > "$agent/DEBIAN/control" <<END
Package: qubes-core-agent
Version: 4.3
Architecture: all
Maintainer: the lab <lab@lab>
Description: a stand-in, with the triggers of the original
END
cat > "$agent/DEBIAN/triggers" <<END
interest-noawait /etc/qubes/post-install.d
interest-noawait /etc/qubes-rpc
END
cat > "$agent/DEBIAN/postinst" <<END
#!/bin/sh
[ "\$1" != triggered ] || /etc/qubes-rpc/qubes.PostInstall || true
END
chmod 755 "$agent/DEBIAN/postinst"
chroot "$root" dpkg-deb --root-owner-group --build /var/tmp/qubes-core-agent
chroot "$root" dpkg --install /var/tmp/qubes-core-agent.deb
rm -r "$agent" "$agent.deb"
"""


class TemplateError(Exception):
    """The tree could not be built; carries a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def cache_dir() -> Path:
    """Return the lab's directory in the caller's cache, made if absent."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "qubes-borg-lab"
    path.mkdir(parents=True, exist_ok=True, mode=0o755)
    return path


def tree_path() -> Path:
    """Return where the tree of this recipe lies, built or not."""
    recipe = "\n".join((SUITE, *PACKAGES, *LEFT_OUT, _CUSTOMIZE, str(os.getuid())))
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return cache_dir() / "templates" / f"debian-13-{digest}"


def ensure() -> Path:
    """Return the finished tree, building it (with progress on stderr) when it is not there.

    Two callers at once: the second waits for the first. Raises TemplateError, NamespaceError.
    """
    tree = tree_path()
    if tree.is_dir():
        return tree
    tree.parent.mkdir(exist_ok=True)
    with open(f"{tree}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            _build(tree)
    return tree


def _build(tree: Path) -> None:
    """Build TREE in a child inside the user namespace; raise TemplateError when it fails."""
    program = shutil.which("mmdebstrap")
    if program is None:
        raise TemplateError("mmdebstrap is not installed", "as root: apt-get install mmdebstrap")
    started = time.monotonic()
    print(f"lab: building the Debian 13 tree (once) in {tree}", file=sys.stderr, flush=True)
    status = inside.call("build", str(tree), program)
    log = Path(f"{tree}.log")
    if status != 0:
        raise TemplateError("the Debian 13 tree could not be built",
                            f"read {log}; another mirror: LAB_DEBIAN_MIRROR=URL")  # fmt: skip
    seconds = time.monotonic() - started
    print(f"lab: the tree is ready after {seconds:.0f} s", file=sys.stderr, flush=True)


def run_mmdebstrap(tree: Path, program: str) -> int:
    """Make TREE under a temporary name, echo the steps, rename it in; return a status.

    Runs as root of the user namespace, see inside.py.
    """
    partial = Path(f"{tree}.part")
    shutil.rmtree(partial, ignore_errors=True)
    script = Path(f"{tree}.customize")
    script.write_text(_CUSTOMIZE, encoding="ascii")
    # Without one, mmdebstrap takes Debian's own.
    mirror = [url for url in (os.environ.get("LAB_DEBIAN_MIRROR"),) if url]
    command = [
        program, "--mode=root", "--variant=minbase", "--format=directory", "--skip=output/dev",
        f"--include={','.join(PACKAGES)}", f"--customize-hook=sh {script} \"$1\"",
        *(f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT), SUITE, str(partial), *mirror,
    ]  # fmt: skip
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    proxies = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
    with open(f"{tree}.log", "w", encoding="utf-8") as log:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment | proxies, text=True, errors="replace",
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                if line.startswith("I: "):
                    print(f"lab: {line[3:].rstrip()}", file=sys.stderr, flush=True)
    if process.returncode == 0:
        partial.rename(tree)
        script.unlink()
    return process.returncode
