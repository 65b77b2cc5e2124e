"""Rows of dom0: starting its commands, telling how a hundred qubes are, enrolling.

Runs on a developer's host. Each row answers its results.
"""

import os
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.measure import Result, in_turns, seconds
from bench.place import Place
from scenarios import bent, crowd

_KEEPER = "borg-maintenance"
_QUBESADMIN = "/usr/lib/python3/dist-packages/qubesadmin"
_TOOLS = Path(__file__).parents[2] / "dom0" / "qvm_borg" / "tools"
# What no enrolment can do without; the session over which the list of keys goes lives already.
_MASTER = """set -eu
rm -rf bare && mkdir bare && cd bare
ssh -F ~/.local/share/qubes-borg/ssh_config -o ControlMaster=yes -o ControlPath=master -fN \\
    bakadmin < /dev/null > /dev/null 2>&1
"""
_BARE = """set -eu
cd bare
admin="ssh -F $HOME/.local/share/qubes-borg/ssh_config"
ssh-keygen -q -t ed25519 -N '' -f key
$admin -S master bakadmin cat .ssh/authorized_keys > keys
echo "command=\\"borg14 serve --append-only --restrict-to-repository repos/bare\\",restrict" \\
    "$(cat key.pub)" >> keys
$admin -S master bakadmin dd of=.ssh/authorized_keys < keys 2> /dev/null
export BORG_REPO=ssh://bakadmin/./repos/bare BORG_REMOTE_PATH=borg14 BORG_PASSPHRASE=bare
export BORG_RSH="$admin -i key"
borg init --make-parent-dirs --encryption repokey-blake2
borg key export :: exported
borg list
"""
# As dom0 notes them once it has backed them up and shut them down: the same revisions since.
_CLEAN = """
import hashlib, json, time
crowd = [app.domains[f"q{{number}}"] for number in range({count})]
for vm in crowd:
    vm.start()
    vm.shutdown()
    while vm.get_power_state() != "Halted" or not vm.volumes["private"].revisions:
        time.sleep(0.05)
    kept = sorted(vm.volumes["private"].revisions)
    record = json.loads(vm.features["x-qborg"])
    record["digests"]["revisions"] = hashlib.sha256(" ".join(kept).encode()).hexdigest()
    vm.features["x-qborg"] = json.dumps(record, sort_keys=True, separators=(",", ":"))
del app.domains["work"].features["x-qborg"]
"""
_RUNNING = 5  # of those whose status is told


def starts(place: Place) -> Iterator[Result]:
    """Measure how long each command of dom0 takes to say what it is.

    The library is compiled as in dom0; the lab itself lays its sources alone.
    """
    place.enrolled()
    place.lab.exec("dom0", ["python3", "-m", "compileall", "-q", _QUBESADMIN], user="root",
                   check=True)  # fmt: skip
    whose = "genuine" if os.environ.get("LAB_QUBESADMIN") else "stand-in"
    names = [f"qvm-borg-{path.stem}" for path in sorted(_TOOLS.glob("*.toml"))]
    bare = ("python3", "-c", "import qubesadmin")
    commands = {"import": bare} | {name: (name, "--help") for name in names}
    ways = {name: partial(place.dom0, *command) for name, command in commands.items()}
    figures = in_turns(ways, place.size.quick)
    for name in names:
        pair = {key: figures[key] for key in ("import", name)}
        yield Result(f"{name} --help / import qubesadmin ({whose})",
                     figures[name] / figures["import"], 1.5, pair)


def tells(place: Place) -> Iterator[Result]:
    """Measure the status of one qube, of a tenth of a crowd and of the crowd; five of it run.

    Those five are enrolled, as a qube without a bundle has more to find out.
    """
    place.enrolled()
    figures = in_turns({"1 enrolled": partial(_status, place, 1)}, place.size.quick)
    place.ready()
    _more(place, 1, _RUNNING, _RUNNING)
    names = [f"q{number}" for number in range(1, _RUNNING)]
    place.dom0("qvm-borg-enroll", "work", *names, "--no-escrow")
    have = _RUNNING
    for count in (max(_RUNNING, place.size.crowd // 10), max(_RUNNING, place.size.crowd)):
        _more(place, have, count, 0)
        have = count
        tell = partial(_status, place, count)
        figures |= in_turns({f"{count} enrolled": tell}, place.size.quick)
    one, *_some, all_of_them = figures.values()
    yield Result(f"status of {place.size.crowd} / of 1", all_of_them / one, 3.0, figures)


def clean(place: Place) -> Iterator[Result]:
    """Measure what qubes without anything new cost a backup of all, none of them started."""
    place.enrolled()
    count = max(2, place.size.crowd // 2)
    _more(place, 0, count, 0)
    bent.in_dom0(place.lab, _CLEAN.format(count=count))
    figures = in_turns({"all": partial(_nothing_new, place, count)}, place.size.quick)
    yield Result(f"backup --all of {count} clean qubes / 50 ms for each",
                 figures["all"] / count / 0.05, 1.0, figures)


def enrols(place: Place) -> Iterator[Result]:
    """Measure an enrolment without a vault against the bare commands, and many at once, once."""
    taken: dict[str, list[float]] = {"enrolment": [], "bare": [], "backup": []}
    many = max(2, place.size.crowd // 5)
    for _repeat in range(place.size.repeats):
        place.ready()
        place.qube("sh", "-c", _MASTER, name=_KEEPER)
        taken["bare"].append(seconds(lambda: place.qube("sh", "-c", _BARE, name=_KEEPER)))
        place.ready()
        alone = ("qvm-borg-enroll", "work", "--no-escrow")
        taken["enrolment"].append(seconds(lambda: place.dom0(*alone)))
        taken["backup"].append(seconds(lambda: place.qube("qborg-run")))
    place.ready()
    _more(place, 0, many, many)
    names = [f"q{number}" for number in range(many)]
    took = seconds(lambda: place.dom0("qvm-borg-enroll", *names, "--no-escrow"))
    figures = {name: statistics.median(values) for name, values in taken.items()}
    figures["each of many, once"] = took / many
    own = figures["enrolment"] - figures["backup"]
    yield Result("enrolment --no-escrow less its backup / bare commands",
                 own / figures["bare"], 1.3, figures)
    yield Result(f"each of {many} enrolled at once, --no-escrow / one alone",
                 figures["each of many, once"] / figures["enrolment"], 0.4, figures)


def _more(place: Place, start: int, end: int, running: int) -> None:
    """Make qubes, enrolled as work is if it is; the first ones run."""
    names = [f"q{number}" for number in range(start, end)]
    crowd.joins(place.lab, names, max(0, running - start))


def _nothing_new(place: Place, count: int) -> None:
    said = place.lab.run(["qvm-borg-backup", "--all"], check=True).stdout.decode()
    assert said.count("nothing new") == count, said


def _status(place: Place, count: int) -> None:
    said = place.lab.run(["qvm-borg-status"]).stdout.decode()
    assert len(said.splitlines()) > count, said
    wrong = [line for line in said.splitlines() if "is not on the server" in line
             or "the server did not show" in line or "was not seen" in line]
    assert not wrong, wrong
