"""What happens inside a machine while it boots: mounts, /rw, bind-dirs, services.

Runs as root in the machine's fresh namespaces, called by the agent. It follows the boot of a
Qubes VM (mount-dirs, bind-dirs, qubes-sysinit); it knows nothing of other machines.
"""

from __future__ import annotations

import os
import subprocess
import sys

from . import ns, wire

_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_SCRIPT_SECONDS = 60
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8"}
_NO_DEVICES = ns.MS_NOSUID | ns.MS_NODEV

# The files are bash, so bash reads them, as on Qubes.
_READ_BINDS = """
binds=()
for folder in "$@"; do
  for file in "$folder"/*.conf; do [ -e "$file" ] && . "$file"; done
done >&2
[ "${#binds[@]}" -eq 0 ] || printf '%s\\0' "${binds[@]}"
"""

_RC_LOCAL = """#!/bin/sh

# This script will be executed at every VM startup.
"""


class BootError(Exception):
    """The machine cannot be brought up."""


def boot(request: wire.Message) -> None:
    """Turn fresh namespaces into a running machine; OSError or BootError when it fails."""
    _mount_tree(request)
    ns.pivot_root("mnt")
    _network(request)
    services = {name for name, on in request["services"].items() if on}
    os.mkdir("/run/qubes-service", 0o755)
    for name in services:
        with open(f"/run/qubes-service/{name}", "wb"):
            pass
    if request["private"] is not None:
        _persistence(request, "custom-persist" in services)
    if "custom-persist" not in services:
        _start_local_scripts()
    if "crond" in services and os.path.exists("/usr/sbin/cron"):
        _run(["/usr/sbin/cron"])


def _mount_tree(request: wire.Message) -> None:
    """Put the machine's whole tree together at `mnt` of the state directory."""
    ns.make_mounts_private()
    os.chdir(request["state"])
    ns.overlay(
        request["lower"], request["upper"], request["work"], "mnt", volatile=request["volatile"]
    )
    ns.mount("proc", "mnt/proc", "proc", _NO_DEVICES | ns.MS_NOEXEC)
    for target, mode in (("dev", "0755"), ("run", "0755"), ("tmp", "1777")):
        ns.mount("tmpfs", f"mnt/{target}", "tmpfs", ns.MS_NOSUID, f"mode={mode}")
    _devices("mnt/dev")
    if request["private"] is not None:
        os.makedirs("mnt/rw", exist_ok=True)
        ns.bind(request["private"], "mnt/rw", _NO_DEVICES)
    if request["uuid"] is not None:
        os.makedirs("mnt/sys", exist_ok=True)
        ns.mount("tmpfs", "mnt/sys", "tmpfs", _NO_DEVICES, "mode=0755")
        os.mkdir("mnt/sys/hypervisor")
        _write("mnt/sys/hypervisor/uuid", f"{request['uuid']}\n")
    os.mkdir("mnt/run/lab", 0o755)
    ns.bind(request["run"], "mnt/run/lab", ns.MS_RDONLY | _NO_DEVICES)
    os.makedirs("mnt/run/lock", exist_ok=True)


def _devices(directory: str) -> None:
    """Fill a machine's /dev: the host's harmless nodes, its own ptys and shared memory."""
    for node in _NODES:
        with open(f"{directory}/{node}", "wb"):
            pass
        ns.bind(f"/dev/{node}", f"{directory}/{node}")
    os.mkdir(f"{directory}/pts")
    ns.mount("devpts", f"{directory}/pts", "devpts", ns.MS_NOSUID | ns.MS_NOEXEC,
             "newinstance,ptmxmode=0666,mode=620,gid=5")  # fmt: skip
    os.symlink("pts/ptmx", f"{directory}/ptmx")
    os.mkdir(f"{directory}/shm")
    ns.mount("tmpfs", f"{directory}/shm", "tmpfs", _NO_DEVICES, "mode=1777")
    for name, target in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"),
                         ("stderr", "self/fd/2")):  # fmt: skip
        os.symlink(f"/proc/{target}", f"{directory}/{name}")


def _network(request: wire.Message) -> None:
    """Bring up the loopback and, with a cable, eth0; write the names."""
    name = os.uname().nodename
    ns.interface_up("lo")
    if request["cable"]:
        ns.configure_interface("eth0", request["ip"])
    _write("/etc/hostname", f"{name}\n")
    _write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n{request['hosts']}")


def _write(path: str, text: str) -> None:
    """Replace a small text file in place."""
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def _persistence(request: wire.Message, custom: bool) -> None:
    """Fill a virgin /rw and mount what persists; CUSTOM: only the paths dom0 named."""
    _fill_rw()
    named = list(request["persist"])
    if not all(value.startswith("/") for value in named):
        raise BootError("custom-persist: the lab knows plain paths only")
    if not custom or "/home" in named:
        ns.bind("/rw/home", "/home", _NO_DEVICES)
    if not custom or "/usr/local" in named:
        ns.bind("/rw/usrlocal", "/usr/local", _NO_DEVICES)
    if request["persistence"] == "full":
        return
    folders = ["/usr/lib/qubes-bind-dirs.d", "/etc/qubes-bind-dirs.d"]
    if not custom:
        folders.append("/rw/config/qubes-bind-dirs.d")
    listed = _run(["/bin/bash", "-c", _READ_BINDS, "bind-dirs", *folders]).decode().split("\0")
    kept = [path for path in named if path not in ("/home", "/usr/local")] if custom else []
    for path in [path for path in listed if path] + kept:
        _bind_directory(path)


def _fill_rw() -> None:
    """Do on a virgin private volume what Qubes does at the first boot."""
    os.makedirs("/rw/bind-dirs", exist_ok=True)
    if not os.path.isdir("/rw/config"):
        os.mkdir("/rw/config", 0o755)
        _write("/rw/config/rc.local", _RC_LOCAL)
        os.chmod("/rw/config/rc.local", 0o755)
    if not os.path.isdir("/rw/usrlocal"):
        _run(["/bin/cp", "-a", "--", "/usr/local", "/rw/usrlocal"])
    os.makedirs("/rw/home", exist_ok=True)
    with open("/etc/passwd", encoding="utf-8") as stream:
        rows = [line.rstrip("\n").split(":") for line in stream]
    for row in rows:
        if len(row) == 7 and row[5].startswith("/home/"):
            _fill_home(row[5], int(row[2]), int(row[3]))


def _fill_home(home: str, uid: int, gid: int) -> None:
    """Make one account's home on the private volume from /etc/skel."""
    target = f"/rw{home}"
    if os.path.isdir(target):
        return
    _run(["/bin/cp", "-a", "--", "/etc/skel", target])
    _run(["/bin/chown", "-R", "--", f"{uid}:{gid}", target])
    os.chmod(target, 0o700)


def _bind_directory(path: str) -> None:
    """Mount one bind-dir, copying it to /rw the first time; skip what is in neither place."""
    inside = os.path.realpath(path)
    outside = _rw_path(inside)
    if os.path.isdir(outside) or os.path.isfile(outside):
        if not os.path.exists(inside):
            is_file = os.path.isfile(outside)
            os.makedirs(os.path.dirname(inside) if is_file else inside, exist_ok=True)
            if is_file:
                _write(inside, "")
    elif os.path.isdir(inside) or os.path.isfile(inside):
        os.makedirs(os.path.dirname(outside), exist_ok=True)
        _run(["/bin/cp", "-a", "--", inside, outside])
    else:
        print(f"bind-dirs: {inside}: in neither place, skipped", file=sys.stderr, flush=True)
        return
    ns.bind(outside, inside)


def _rw_path(path: str) -> str:
    """Return where a bind-dir's content lies on the private volume."""
    if path.startswith("/home/"):
        return f"/rw{path}"
    if path.startswith("/usr/local/"):
        return "/rw/usrlocal/" + path.removeprefix("/usr/local/")
    return f"/rw/bind-dirs{path}"


def _start_local_scripts() -> None:
    """Start rc.local.d/*.rc and rc.local, one after the other, without waiting for them."""
    folder = "/rw/config/rc.local.d"
    scripts = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [f"{folder}/{name}" for name in scripts if name.endswith(".rc")]
    runnable = [p for p in (*paths, "/rw/config/rc.local") if os.access(p, os.X_OK)]
    if not runnable:
        return
    if os.fork() == 0:
        try:
            for path in runnable:
                subprocess.run([path], stdin=subprocess.DEVNULL, env=_ENVIRONMENT, check=False)
        finally:
            os._exit(0)


def _run(argv: list[str]) -> bytes:
    """Run a program of the machine to its end, return its output; BootError when it fails."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=_ENVIRONMENT,
            check=True, timeout=_SCRIPT_SECONDS, cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise BootError(f"{argv[0]}: {error}") from error
    return done.stdout
