"""Finds out what this machine lacks for a lab, and the one command that mends each thing.

Runs on the host, in a child for whatever changes namespaces.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass

from . import inside, ns, template

KERNEL = (5, 11)
_SEARCH = "/usr/sbin:/sbin:/usr/bin:/bin"
_TRIES = ("a mount namespace", "an overlay mount", "a network namespace")


@dataclass(frozen=True)
class Missing:
    """One thing that is not there and the command that brings it."""

    what: str
    mend: str


def missing() -> list[Missing]:
    """Return everything that keeps a lab from coming up, most basic first."""
    found = [
        Missing(f"{program} is not installed", f"as root: apt-get install {package}")
        for program, package in _programs()
        if shutil.which(program, path=_SEARCH) is None
    ]
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if release is not None and (int(release[1]), int(release[2])) < KERNEL:
        found.append(Missing(f"kernel {os.uname().release} is older than 5.11",
                             "as root: apt-get install linux-image-amd64"))  # fmt: skip
    if not found:
        try:
            for path in ("/etc/subuid", "/etc/subgid"):
                ns.subordinate_start(path)
        except ns.NamespaceError as error:
            found.append(Missing(str(error), error.hint))
    if not found:
        found.extend(_try_namespaces())
    return found


def _programs() -> list[tuple[str, str]]:
    """Return (program, package) of what this caller needs on the host."""
    needed = [("ip", "iproute2")]
    if not template.tree_path().is_dir():
        needed.append(("mmdebstrap", "mmdebstrap"))
    if os.geteuid() != 0:
        needed += [("newuidmap", "uidmap"), ("newgidmap", "uidmap")]
    return needed


def _try_namespaces() -> list[Missing]:
    """Make the namespaces and an overlay in a child; say which of them was refused."""
    said = inside.output("try")
    if said == "ok":
        return []
    what, _, mend = (said or "a user namespace is refused").partition("\n")
    return [Missing(what, mend or "run labctl as root, in a machine or container that may mount")]


def try_each() -> str:
    """Try, in this process, what a lab does; return `ok` or what failed and its hint."""
    step = "a user namespace"
    try:
        ns.enter_user_namespace()
        step = _TRIES[0]
        ns.unshare(ns.CLONE_NEWNS)
        ns.make_mounts_private()
        step = _TRIES[1]
        ns.mount("tmpfs", "/mnt", "tmpfs")
        for name in ("lower", "upper", "work", "all"):
            os.mkdir(f"/mnt/{name}")
        ns.overlay(["/mnt/lower"], "/mnt/upper", "/mnt/work", "/mnt/all")
        step = _TRIES[2]
        ns.unshare(ns.CLONE_NEWNET)
        ns.interface_up("lo")
    except ns.NamespaceError as error:
        return f"{error}\n{error.hint}"
    except OSError as error:
        return f"{step} is refused ({error.strerror})"
    return "ok"
