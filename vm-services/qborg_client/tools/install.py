"""Install the bundle of a plain host, made by `qborg-host-bundle` in the maintenance qube.

Run it as the user whose files are backed up; `./install` beside the bundle does that. A qube gets
its bundle from the maintenance qube itself, and refuses one from here.

example:
  qborg-install laptop2/bundle.json      on the host of that name
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from qborg_borg.bundle import RECORD_LIMIT, BundleRefused, match_bundle
from qborg_client import identity, installation
from qborg_client.paths import own_paths
from qborg_service import command_line, qubesdb
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited
from qborg_wire.reply import printable

_HINT = "run it as the user whose files are backed up, on the host that the bundle was made for"


def main(args: Sequence[str] | None = None) -> int:
    """Check everything, then write what differs; answers 0, or 1 after telling why not."""
    path = parser().parse_args(args).bundle
    try:
        print(_install(path))
        return 0
    except (BundleRefused, FileRefused) as error:
        problem = f"{path}: {error}"
    except ServiceFailure as failure:
        problem = f"{failure.cause}: {failure.detail}"
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    except KeyboardInterrupt:
        return 130
    print(f"error: {printable(problem, 300)}\nhint: {_HINT}", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    """Answer what knows the arguments."""
    made = command_line.parser("qborg-install", __doc__)
    made.add_argument("bundle", metavar="FILE", type=Path, help="the bundle.json")
    return made


def _install(path: Path) -> str:
    if qubesdb.is_qube():
        raise ServiceFailure("not-this-qube", "a qube gets its bundle by `qvm-borg-enroll` in dom0")
    bundle = match_bundle(read_limited(path, RECORD_LIMIT), identity.own_qube())
    changed, aside = installation.apply(own_paths(), bundle)
    moved = "; the old scripts' files and job were put aside" * aside
    return f"{bundle.repository}: installed{moved}" if changed else "nothing was changed"
