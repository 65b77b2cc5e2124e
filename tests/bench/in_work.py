"""Rows of the client: backups, lists and restores against the bare programs.

Runs on a developer's host. Each row answers its results.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial

from bench.measure import Result, Way, in_turns
from bench.place import BORG, DATA, Place, makes

_BORGMATIC = (
    "borgmatic", "--config", "/home/user/.local/state/qubes-borg/borgmatic.yaml",
    "--verbosity", "-1",
)  # fmt: skip
# As qvm-backup has it, but that it derives a key of five seconds for each 100 MB.
_QVM_BACKUP = "tar -C {} -cf - data | gzip | scrypt enc -t 1 --passphrase env:PHRASE - > /dev/null"


# What a scheduled run looks at first: without it one is due.
_LAST = "/home/user/.local/state/qubes-borg/last.json"


def nothing_new(place: Place) -> Iterator[Result]:
    """Measure a scheduled run that finds everything backed up already."""
    place.enrolled()
    place.makes_data()
    yield from _backups(place, "nothing new", warm=True, before=place.next_second)


def first(place: Place) -> Iterator[Result]:
    """Measure a run that finds nothing of the data backed up yet."""
    place.enrolled()
    yield from _backups(place, "all is new", warm=False, before=place.makes_data)


def _backups(place: Place, what: str, warm: bool, before: Way) -> Iterator[Result]:
    place.qube("rm", "-f", _LAST)
    place.qube("qborg-run", "--scheduled")  # it leaves the configuration of the bare borgmatic
    place.qube("test", "-s", _LAST)  # it was due, and will be
    log = ("--log-json",) if b"1." in place.qube("borgmatic", "--version")[:2] else ()

    def makes_due() -> None:
        before()
        place.qube("rm", "-f", _LAST)

    figures = in_turns({
        "qborg-run": lambda: place.qube("qborg-run", "--scheduled"),
        "borgmatic": lambda: place.qube(*_BORGMATIC, *log, "create", "--progress"),
        "borg": lambda: place.qube(*BORG, "create", "-C", "lz4", "::bare-{now}", DATA),
    }, place.size.repeats, warm=warm, before=makes_due)  # fmt: skip
    ours = figures["qborg-run"]
    yield Result(f"scheduled run, {what} / borgmatic", ours / figures["borgmatic"], 1.03, figures)
    yield Result(f"scheduled run, {what} / borg", ours / figures["borg"], None, figures)


def lists(place: Place) -> Iterator[Result]:
    """Measure the list of archives."""
    place.enrolled()
    figures = in_turns({
        "borgbak": lambda: place.qube("borgbak", "list"),
        "borg": lambda: place.qube(*BORG, "list"),
    }, place.size.quick)  # fmt: skip
    yield Result("borgbak list / borg list", figures["borgbak"] / figures["borg"], 1.05, figures)


def restores(place: Place) -> Iterator[Result]:
    """Measure one file, and all of them, brought back by dom0's command and by bare borg."""
    place.enrolled()
    place.makes_data()
    place.qube("qborg-run")
    archive = place.qube("borgbak", "list", "--short").decode().split()[-1]
    back = "/home/user/back"
    empty = f"rm -rf {back} && mkdir {back}"
    for what, path in (("one file", f"{DATA}/small/0/0"), ("all files", DATA)):
        asked = ("qvm-borg-restore", "work", path, "--to-directory", back)
        figures = in_turns({
            "qvm-borg-restore": partial(place.dom0, *asked),
            "borg": partial(place.qube, *BORG, "extract", f"::{archive}", path[1:], cwd=back),
        }, place.size.repeats, before=partial(place.qube, "sh", "-c", empty))  # fmt: skip
        yield Result(f"restore of {what} / borg extract",
                     figures["qvm-borg-restore"] / figures["borg"], 1.1, figures)


def qvm_backup(place: Place) -> Iterator[Result]:
    """Measure the pipeline of qvm-backup on such data, which takes all of it each time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        subprocess.run(makes(f"{folder}/data", place.size), check=True)
        command = ["sh", "-c", _QVM_BACKUP.format(folder)]
        environment = {"PATH": "/usr/bin:/bin", "PHRASE": "of no use"}
        piped = in_turns({
            "tar-gzip-scrypt": lambda: subprocess.run(command, check=True, env=environment),
        }, place.size.repeats, warm=False)["tar-gzip-scrypt"]
    place.enrolled()
    for what in ("first", "second"):
        if what == "first":
            place.makes_data()
        place.next_second()
        figures = {"tar-gzip-scrypt": piped} | in_turns(
            {"qborg-run": lambda: place.qube("qborg-run")}, 1, warm=False)
        ratio = figures["qborg-run"] / piped
        yield Result(f"{what} backup / tar, gzip, scrypt", ratio, None, figures)
