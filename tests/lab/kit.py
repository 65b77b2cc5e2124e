"""The thin layer between the Debian tree and a machine's own root: what makes it a Qubes VM, dom0
or the server, before anything of the product.

Runs in the supervisor at every start of a lab. Contents come from this file, bin/, stand_in/ and
the world's server table.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .report import POST_INSTALL, PROGRAM, REQUEST_PROGRAM
from .world import Server

HERE = Path(__file__).resolve().parent
SERVER_UID = 20001
RELEASE = "4.3"
_VM_PROGRAMS = {
    "qrexec-client-vm": "usr/bin/qrexec-client-vm",
    "qubesdb-read": "usr/bin/qubesdb-read",
}
_DOM0_PROGRAMS = {"qrexec-client": "usr/lib/qubes/qrexec-client"}
_DIST_PACKAGES = "usr/lib/python3/dist-packages"
_SSHD_CONFIG = """Port {port}
AddressFamily inet
HostKey /rw/ssh/ssh_host_ed25519_key
AllowUsers {user}
PasswordAuthentication {password}
KbdInteractiveAuthentication {interactive}
UsePAM {interactive}
Subsystem sftp /usr/lib/openssh/sftp-server
PermitRootLogin no
X11Forwarding no
AllowTcpForwarding no
PrintMotd no
UseDNS no
LogLevel VERBOSE
MaxStartups 100
PerSourcePenalties no
"""


def group_id(tree: Path, name: str) -> int:
    """Return the number of group NAME in TREE's /etc/group."""
    for line in (tree / "etc/group").read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise KeyError(name)


def build(state: Path, tree: Path, server: Server, qubesadmin: Path | None) -> None:
    """Make STATE/kit/{vm,dom0,server} anew; QUBESADMIN: a directory with the genuine package."""
    kit = state / "kit"
    shutil.rmtree(kit, ignore_errors=True)
    _vm(kit / "vm")
    _dom0(kit / "dom0", group_id(tree, "qubes"), qubesadmin)
    _server(kit / "server", tree, server)


def _put(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    """Write one file of a layer with its directories."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="ascii")
    target.chmod(mode)


def _programs(root: Path, programs: dict[str, str]) -> None:
    """Copy the stand-ins named in PROGRAMS (name in bin/ -> path in the layer)."""
    for name, path in programs.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / "bin" / name, target)
        target.chmod(0o755)


def _vm(root: Path) -> None:
    """Make the layer of every VM."""
    _put(root, "usr/lib/qubes-bind-dirs.d/30_cron.conf", "binds+=( '/var/spool/cron' )\n")
    _put(root, "usr/share/qubes/marker-vm", f"{RELEASE}\n")
    _programs(root, _VM_PROGRAMS)
    _put(root, "usr/bin/qvm-features-request", REQUEST_PROGRAM, 0o755)
    _put(root, PROGRAM.lstrip("/"), POST_INSTALL, 0o755)
    (root / "usr/lib/qubes").mkdir(parents=True)
    (root / "usr/lib/qubes/qrexec-client-vm").symlink_to("/usr/bin/qrexec-client-vm")


def _dom0(root: Path, qubes_group: int, qubesadmin: Path | None) -> None:
    """Make dom0's layer: release file, policy directory, qubesadmin."""
    _put(root, "etc/qubes-release", f"Qubes release {RELEASE}.0 (R{RELEASE})\n")
    policy = root / "etc/qubes/policy.d"
    policy.mkdir(parents=True)
    os.chown(policy, 0, qubes_group)
    policy.chmod(0o775)
    _programs(root, _DOM0_PROGRAMS)
    source = qubesadmin or HERE / "stand_in"
    packages = root / _DIST_PACKAGES
    packages.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for entry in sorted(source.glob("qubesadmin*")):
        if entry.is_dir():
            shutil.copytree(entry, packages / entry.name, ignore=ignore)


def _server(root: Path, tree: Path, server: Server) -> None:
    """Make the server's layer: the account, its shell, sshd's configuration."""
    shell = "/usr/lib/lab/account-shell"
    row = f"{server.user}:x:{SERVER_UID}:{SERVER_UID}::/home/{server.user}:{shell}"
    group = f"{server.user}:x:{SERVER_UID}:"
    for name, line, mode in (("passwd", row, 0o644), ("group", group, 0o644),
                             ("shadow", f"{server.user}:*:20000:0:99999:7:::", 0o600)):  # fmt: skip
        old = (tree / "etc" / name).read_text(encoding="utf-8").splitlines()
        kept = [entry for entry in old if not entry.startswith("user:")]
        _put(root, f"etc/{name}", "\n".join((*kept, line)) + "\n", mode)
    _put(root, "etc/shells", f"/bin/sh\n/bin/bash\n{shell}\n")
    text = (HERE / "account_shell.py").read_text(encoding="ascii")
    _put(root, shell.lstrip("/"), text, 0o755)
    _put(root, "etc/lab/offers", f"{server.offers}\n")
    config = _SSHD_CONFIG.format(
        user=server.user, port=server.port or 22,
        password="yes" if server.password is not None and not server.interactive else "no",
        interactive="yes" if server.interactive else "no",
    )
    _put(root, "etc/ssh/sshd_config", config)
