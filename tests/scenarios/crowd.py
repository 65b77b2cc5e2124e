"""Many qubes without the time that it takes to enrol them: more of the kind that work is."""

from collections.abc import Sequence

from lab import Lab
from scenarios import bent, person

KEEPER = "borg-maintenance"
_QUBES = """
import json
record = json.loads(app.domains["work"].features.get("x-qborg", "null"))
for number, name in enumerate({names!r}):
    vm = app.add_new_vm("AppVM", name, "blue", template="debian-13")
    vm.netvm = "sys-firewall"
    if record:
        own = dict(record, uuid=str(vm.uuid), repository=f"qubes-{{name}}")
        vm.features["x-qborg"] = json.dumps(own, sort_keys=True, separators=(",", ":"))
    if number < {running}:
        vm.start()
print("enrolled" if record else "")
"""
# work's repository once more for each, under an id of its own.
_REPOSITORIES = """set -eu
cd "$1/repos"
shift
for name in "$@"; do
    cp -a qubes-work "qubes-$name"
    sed -i "s/^id = .*/id = $(echo "$name" | sha256sum | cut -c 1-64)/" "qubes-$name/config"
done
"""
_REGISTERED = """
import json, pathlib, sys
path = pathlib.Path("/home/user/.local/share/qubes-borg/registry.json")
known = json.loads(path.read_text())
for name in sys.argv[1:]:
    known["repositories"][f"qubes-{name}"] = known["repositories"]["qubes-work"]
path.write_text(json.dumps(known))
"""


def joins(lab: Lab, names: Sequence[str], running: int = 0) -> None:
    """Make qubes of which the first ones run; if work is enrolled, so is each, with a repository.

    The maintenance qube must run then. None has a bundle or archives of its own.
    """
    if bent.in_dom0(lab, _QUBES.format(names=list(names), running=running)).strip():
        script = ["/bin/sh", "-c", _REPOSITORIES, "-", person.HOME]
        lab.server.exec([*script, *names], check=True)
        lab.exec(KEEPER, ["python3", "-c", _REGISTERED, *names], check=True)
