"""The machines for which every state is rendered, and the one run of real Salt that renders all.

Runs on the host.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TREE = ROOT / "salt"
STATES = tuple(sorted(path.stem for path in (TREE / "qubes-borg").glob("*.sls")))
ROLES = ("client", "maintenance", "vault", "worker")
# A minimal template has the grains of its family: that less is there must not matter.
DEBIAN = {"os": "Debian", "os_family": "Debian", "osmajorrelease": 13}
FEDORA = {"os": "Fedora", "os_family": "RedHat", "osmajorrelease": 43}
SYSTEMS: dict[str, dict[str, Any]] = {
    "debian-13": DEBIAN,
    "debian-13-minimal": DEBIAN,
    "whonix-workstation-18": DEBIAN,
    "fedora-43": FEDORA,
    "fedora-44-minimal": FEDORA | {"osmajorrelease": 44},
    "mine": FEDORA,
}
ARCH = {"os": "Arch", "os_family": "Arch"}
DOM0 = {"os": "Qubes OS", "os_family": "RedHat"}
Data = dict[str, Any]


def installs() -> dict[str, Data]:
    """Every state that is for templates, for every system; a standalone qube gets the same."""
    return {
        f"{state} {qube}": {"state": state, "id": qube, "grains": grains,
                            "type": "standalone" if qube == "mine" else "template"}
        for state in STATES if state != "enable"
        for qube, grains in SYSTEMS.items()
    }  # fmt: skip


def refused() -> dict[str, Data]:
    """Where nothing is installed: another family, a qube that forgets, dom0."""
    wrong = {"arch": ("arch-1", ARCH, "template"), "app": ("work", DEBIAN, "app"),
             "admin": ("dom0", DOM0, "admin")}  # fmt: skip
    return {
        f"{state} {why}": {"state": state, "id": qube, "grains": grains, "type": kind}
        for state in ("install-client", "remove")
        for why, (qube, grains, kind) in wrong.items() if (state, why) != ("remove", "arch")
    }


def package_files(folder: Path) -> dict[str, Data]:
    """Whose packages lie in the tree: all of two families, half of what is needed, two versions."""
    both = ["qubes-borg-{}_1.0-1_all.deb", "qubes-borg-{}-1.0-1.fc43.noarch.rpm"]
    whole = [form.format(role) for form in both for role in ("common", *ROLES)]
    places = {"whole": whole, "half": ["qubes-borg-client_1.0-1_all.deb"], "other": whole[5:],
              "twice": [*whole, "qubes-borg-client_1.1-1_all.deb"],
              "foreign": ["qubes-borg-client-tools_1.0_all.deb", "borgmatic_9_all.deb"]}
    cases = {}
    for name, files in places.items():
        packages = folder / name / "qubes-borg/packages"
        packages.mkdir(parents=True)
        for each in files:
            (packages / each).touch()
        for qube, grains in (("debian-13", DEBIAN), ("fedora-43", FEDORA)):
            cases[f"packages {name} {qube}"] = {
                "state": "install-client", "id": qube, "grains": grains, "type": "template",
                "packages": [str(folder / name)]}  # fmt: skip
    return cases


def enabling(folder: Path) -> dict[str, Data]:
    """dom0 with qubes that are enrolled, and with some that only look so; and not dom0."""
    program = '#!/bin/sh\ncase "$1 $2" in\n{}*) exit 1 ;;\nesac\n'
    listed = "".join(f"{qube}|{klass}|{uuid}\n" for qube, klass, uuid, _text in QUBES)
    (folder / "list").write_text(listed, encoding="ascii")
    rows = "".join(f"'{qube} x-qborg') echo '{text}' ;;\n"
                   for qube, _klass, _uuid, text in QUBES if text)  # fmt: skip
    (folder / "qvm-features").write_text(program.format(rows), encoding="ascii")
    (folder / "qvm-features").chmod(0o755)
    common = {"state": "enable", "grains": DOM0}
    known = {"list_command": f"/bin/cat {folder}/list", "feature": "x-qborg",
             "feature_command": f"{folder}/qvm-features", "classes": ["AppVM", "StandaloneVM"],
             "steps": ["schedule", "forget"], "services": ["crond", "qborg-client"]}  # fmt: skip
    none = known | {"list_command": "/bin/true"}
    return {
        "enable dom0": common | {"id": "dom0", "type": "admin",
                                 "pillar": {"qubes-borg": {"enrolled": known}}},
        "enable nobody": common | {"id": "dom0", "type": "admin",
                                   "pillar": {"qubes-borg": {"enrolled": none}}},
        "enable work": common | {"id": "work", "type": "app"},
    }  # fmt: skip


def record(uuid: str, step: str, notes: str = "{}") -> str:
    """A record as dom0 writes it."""
    return (f'{{"digests":{{}},"fingerprint":"","notes":{notes},"repository":"laptop-work",'
            f'"step":"{step}","times":{{"backup":"1"}},"uuid":"{uuid}"}}')  # fmt: skip


U = [f"{number:08}-0000-4000-8000-000000000000" for number in range(11)]
# Name, class, uuid, what its feature x-qborg holds. Only the first three are enrolled.
QUBES = (
    ("work", "AppVM", U[1], record(U[1], "forget")),
    ("mail.2-x", "StandaloneVM", U[2], record(U[2], "schedule")),
    ("yes", "AppVM", U[10], record(U[10], "forget")),  # for YAML that is a truth
    ("copy", "AppVM", U[3], record(U[1], "forget")),
    ("young", "AppVM", U[4], record(U[4], "create")),
    ("leaving", "AppVM", U[5], record(U[5], "revoke")),
    ("liar", "AppVM", U[6],
     record(U[6], "create", '{"keys":"\\",\\"step\\":\\"forget\\",\\"times\\":{},\\"uuid\\":\\"'
                            f'{U[6]}\\"}}"}}')),
    ("template", "TemplateVM", U[7], record(U[7], "forget")),
    ("broken", "AppVM", U[8], '{"step":"forget"'),
    ("$(reboot)", "AppVM", U[9], record(U[9], "forget")),
    ("-all", "AppVM", U[9], record(U[9], "forget")),
    ("nouuid", "AppVM", "", record("", "forget")),
    ("never", "AppVM", U[0], ""),
)  # fmt: skip


def render(folder: Path) -> Data:
    """Answer what real Salt makes of all cases: its version, the map, each case's states."""
    python = ROOT / ".venv/salt/bin/python"
    (folder / "salt").mkdir()
    cases = installs() | refused() | package_files(folder) | enabling(folder)
    done = subprocess.run(
        [python, "-I", HERE / "render.py", TREE, folder / "salt", json.dumps(cases)],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=900,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found: Data = json.loads(done.stdout)
    return found
