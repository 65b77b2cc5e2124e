"""System calls: namespaces, id maps, mounts, pivot_root and interface set-up.

Runs on the host in every process of the lab; the only file of the lab that talks to the kernel
by ctypes or ioctl. It knows nothing of qubes, worlds or protocols.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
ALL_BUT_USER = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

IDS = 65536
ROOT_RANGE_START = 1_000_000

_PR_SET_PDEATHSIG = 1
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT = 428, 429  # the same on every architecture
_AT_FDCWD = -100
_CLONE_WHOLE_TREE = 0x1 | 0x8000  # OPEN_TREE_CLONE | AT_RECURSIVE
_FROM_DESCRIPTOR = 0x4  # MOVE_MOUNT_F_EMPTY_PATH
_KEPT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
_SIOCADDRT = 0x890B
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_IFF_UP = 1
_RTF_UP = 1

_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceError(Exception):
    """The kernel or the machine's set-up refuses what the lab needs; carries a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _check(result: int, what: str) -> None:
    """Raise OSError with the C library's errno when a call returned a negative number."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by CLONE_* flags; OSError when refused."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount SOURCE at TARGET; KIND is the file system type; OSError when refused."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() or None,
        ctypes.c_ulong(flags), data.encode() or None,
    )  # fmt: skip
    _check(result, f"mount {kind or source} at {target}")


def bind(source: str, target: str, flags: int = 0) -> None:
    """Bind-mount SOURCE at TARGET and then add FLAGS (MS_RDONLY, MS_NOSUID …)."""
    mount(source, target, "", MS_BIND)
    if flags:
        # A user namespace may not drop flags of the mount below, so they are repeated.
        kept = os.statvfs(target).f_flag & _KEPT_FLAGS
        mount("none", target, "", MS_BIND | MS_REMOUNT | kept | flags)


def umount(target: str, flags: int = 0) -> None:
    """Unmount TARGET; OSError when refused."""
    _check(_libc.umount2(target.encode(), flags), f"umount {target}")


def make_mounts_private() -> None:
    """Stop every mount of this mount namespace from reaching the one it came from."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def overlay(lower: list[str], upper: str, work: str, target: str, volatile: bool = False) -> None:
    """Mount an overlay; LOWER is newest first and may be relative to the working directory.

    VOLATILE leaves out every fsync, for an upper layer that is thrown away at stop.
    """
    options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work},userxattr"
    mount("overlay", target, "overlay", 0, options + (",volatile" if volatile else ""))


def pivot_root(new_root: str) -> None:
    """Make NEW_ROOT (a mount point) the root directory and detach the old root."""
    os.chdir(new_root)
    _pivot_to_here()


def _pivot_to_here() -> None:
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _check(_libc.syscall(number, b".", b"."), "pivot_root")
    umount(".", MNT_DETACH)
    os.chdir("/")


def leave_chroot() -> None:
    """Make the directory that root was chrooted to the root of a mount namespace of its own.

    The kernel gives no user namespace to a process whose root is not its mount namespace's
    (create_user_ns). Everything the process sees stays as it is. OSError when refused.
    """
    unshare(CLONE_NEWNS)
    own = os.open("/", os.O_PATH | os.O_DIRECTORY)
    os.chroot("/proc")  # any directory: above it there is then no root to stop at
    os.fchdir(own)
    while not os.path.samefile(".", ".."):
        os.chdir("..")
    os.chroot(".")
    make_mounts_private()
    os.fchdir(own)
    tree = _libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, b".", _CLONE_WHOLE_TREE)
    _check(tree, "open_tree")
    moved = _libc.syscall(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, b".", _FROM_DESCRIPTOR)
    _check(moved, "move_mount")
    os.fchdir(tree)
    _pivot_to_here()
    os.close(own)
    os.close(tree)


def set_hostname(name: str) -> None:
    """Set the host name of this uts namespace."""
    raw = name.encode()
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent thread ends; call it after every change of ids."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def subordinate_start(path: str = "/etc/subuid") -> int:
    """Return the first id of the caller's range in PATH (subuid or subgid).

    Root without a line gets a fixed range. Raises NamespaceError when there is no whole range.
    """
    uid = os.getuid()
    names = {str(uid)}
    try:
        names.add(pwd.getpwuid(uid).pw_name)
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (KeyError, OSError):
        lines = []
    for line in lines:
        owner, _, rest = line.partition(":")
        start, _, count = rest.partition(":")
        if owner in names and start.isdigit() and count.isdigit() and int(count) >= IDS - 1:
            return int(start)
    if uid == 0:
        return ROOT_RANGE_START
    ids = "231072-296607"
    raise NamespaceError(
        f"no range of {IDS} ids for uid {uid} in {path}",
        f"as root: usermod --add-subuids {ids} --add-subgids {ids} {pwd.getpwuid(uid).pw_name}",
    )


def enter_user_namespace() -> None:
    """Become root of a new user namespace: 0 is the caller, 1..65535 the caller's range.

    Must be called while the process has one thread. Raises NamespaceError.
    """
    starts = (subordinate_start("/etc/subuid"), subordinate_start("/etc/subgid"))
    owner = (os.getuid(), os.getgid())
    target = os.getpid()
    go_read, go_write = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(go_write)
        os._exit(_map_when_told(go_read, target, owner, starts))
    os.close(go_read)
    try:
        _unshare_user()
        os.write(go_write, b"g")
    except OSError as error:
        raise NamespaceError(
            f"the kernel refuses a new user namespace ({error.strerror})",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1"
            " kernel.apparmor_restrict_unprivileged_userns=0",
        ) from error
    finally:
        os.close(go_write)
        _, status = os.waitpid(helper, 0)
    if status != 0:
        raise NamespaceError("the ids of the user namespace could not be mapped",
                             "as root: apt-get install uidmap")  # fmt: skip
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])


def _unshare_user() -> None:
    try:
        unshare(CLONE_NEWUSER)
    except PermissionError:
        if os.geteuid() != 0:
            raise
        where = os.getcwd()
        leave_chroot()
        os.chdir(where)
        unshare(CLONE_NEWUSER)


def _map_when_told(
    go: int, target: int, owner: tuple[int, int], starts: tuple[int, int]
) -> int:
    """Wait for one byte on GO, then write both id maps of TARGET; return an exit status."""
    if os.read(go, 1) != b"g":
        return 1
    for index, kind in enumerate(("uid", "gid")):
        extents = (0, owner[index], 1, 1, starts[index], IDS - 1)
        if os.geteuid() == 0:
            lines = "{} {} {}\n{} {} {}\n".format(*extents)
            try:
                Path(f"/proc/{target}/{kind}_map").write_text(lines, encoding="ascii")
            except OSError:
                return 1
            continue
        program = shutil.which(f"new{kind}map")
        if program is None:
            return 1
        command = [program, str(target), *map(str, extents)]
        if subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=60).returncode:
            return 1
    return 0


def _interface_request(name: str, number: int, body: bytes) -> None:
    """Send one SIOCSIF* request for interface NAME; BODY follows the 16 bytes of its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, number, struct.pack("16s24s", name.encode(), body))


def _inet(address: str) -> bytes:
    """Return a sockaddr_in (16 bytes) for a dotted ADDRESS."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def interface_up(name: str) -> None:
    """Bring interface NAME of this network namespace up."""
    _interface_request(name, _SIOCSIFFLAGS, struct.pack("=H", _IFF_UP))


def configure_interface(name: str, address: str) -> None:
    """Give NAME the single ADDRESS (/32), bring it up and send everything else through it."""
    _interface_request(name, _SIOCSIFADDR, _inet(address))
    _interface_request(name, _SIOCSIFNETMASK, _inet("255.255.255.255"))
    interface_up(name)
    device = ctypes.create_string_buffer(name.encode())
    anywhere = _inet("0.0.0.0") * 3
    route = struct.pack(
        "@L48sHhLBB3hhPLLH6x", 0, anywhere, _RTF_UP, 0, 0, 0, 0, 0, 0, 0, 0,
        ctypes.addressof(device), 0, 0, 0,
    )  # fmt: skip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCADDRT, route)
