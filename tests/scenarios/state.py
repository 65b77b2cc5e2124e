"""The whole state of a lab as data, so that `nothing changed` can be asserted.

Everything that lasts and that a person or a later run could notice: what qubesd knows, the
private volumes of the qubes that run, dom0's files, the server's account. No times.
"""

import json
from typing import Any

from lab import Lab
from scenarios.person import HOME

_QUBESD = """
import json, qubesadmin
app = qubesadmin.Qubes()
def text(qube, name):
    try:
        return str(getattr(qube, name))
    except AttributeError:
        return None
print(json.dumps({qube.name: {
    "features": {key: qube.features[key] for key in qube.features},
    "tags": sorted(qube.tags),
    "power": qube.get_power_state(),
    # dom0 has no network, and qubesd no rules for it.
    "firewall": qube.klass != "AdminVM" and
        qube.qubesd_call(None, "admin.vm.firewall.Get").decode().splitlines(),
    **{name: text(qube, name) for name in ("klass", "uuid", "label", "template", "netvm",
       "autostart", "include_in_backups", "provides_network", "template_for_dispvms")},
} for qube in app.domains}))
"""
_FILES = """
import hashlib, json, os, stat, sys
found = {}
def look(path):
    about = os.lstat(path)
    entry = [stat.filemode(about.st_mode), about.st_uid, about.st_gid]
    if stat.S_ISLNK(about.st_mode):
        entry.append(os.readlink(path))
    elif stat.S_ISREG(about.st_mode):
        entry.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
    found[path] = entry
for top in sys.argv[1:]:
    look(top)
    for where, directories, files in os.walk(top):
        for name in directories + files:
            look(os.path.join(where, name))
print(json.dumps(found))
"""
_DOM0 = ("/home/user", "/etc/qubes", "/run/qubes/policy.d")

State = dict[str, Any]


def files(lab: Lab, qube: str, *tops: str) -> State:
    """Answer path -> mode, owner, group and content's digest of all below TOPS in a qube."""
    found = lab.exec(qube, ["python3", "-I", "-c", _FILES, *tops], user="root", check=True)
    answer: State = json.loads(found.stdout)
    return answer


def qubesd(lab: Lab) -> State:
    """Answer what qubesd knows of each qube, by the qube's name."""
    answer: State = json.loads(lab.run(["python3", "-c", _QUBESD], check=True).stdout)
    return answer


def noted(lab: Lab, qube: str = "work") -> State:
    """Answer dom0's record of an enrolled qube."""
    answer: State = json.loads(qubesd(lab)[qube]["features"]["x-qborg"])
    return answer


def archives(lab: Lab, qube: str = "work") -> list[str]:
    """Answer the archives that a running qube lists of its own repository, oldest first."""
    listed = lab.exec(qube, ["borgbak", "list", "--short"])
    assert listed.returncode == 0, listed.stderr.decode()
    return listed.stdout.decode().split()


def everything(lab: Lab) -> State:
    """Answer the whole state; a halted qube's volume is not in it, its power state is."""
    known = qubesd(lab)
    running = [name for name in known if known[name]["power"] == "Running" and name != "dom0"]
    return {
        "qubesd": known,
        "dom0": files(lab, "dom0", *_DOM0),
        "server": files(lab, "server", HOME),
        **{name: files(lab, name, "/rw") for name in running},
    }


def gates(lab: Lab) -> list[str]:
    """Answer the names that lie in the directory of the gate; closed is an empty list."""
    return sorted(files(lab, "dom0", "/run/qubes/policy.d"))[1:]


def changes(before: State, after: State, where: str = "") -> list[str]:
    """Answer what differs between two states, one line for each leaf; empty if nothing does."""
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += changes(old, new, f"{where}/{key}")
        elif old != new:
            found.append(f"{where}/{key}: {old} -> {new}")
    return found
