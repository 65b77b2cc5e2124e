"""borg in a namespace of its own, in which all is read-only but the directories it may write to.

Runs in clients. An archive is written by whoever was in the qube, and an older borg follows it out
of the directory that it extracts into (CVE-2026-62268). It takes no rights: whoever runs it stays
who they are, and gets none of what the namespace would give.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from qborg_service import process

_UNSHARE = "/usr/bin/unshare"
_FAILED = 98  # no exit code of borg's, whose 1 and 100 to 127 are no failures
# An older mount takes the word `recursive` and does not do it, so every mount is looked at. Its
# arguments: the directories, --, the program with its own.
_SCRIPT = f"""\
mount -o remount,bind,ro=recursive / || exit {_FAILED}
while read -r _ _ _ _ _ options _; do
    case ",$options," in *,ro,*) ;; *) exit {_FAILED} ;; esac
done < /proc/self/mountinfo
while [ "$1" != -- ]; do
    mount --bind "$1" "$1" && mount -o remount,bind,rw "$1" || exit {_FAILED}
    shift
done
shift
cd "$PWD" || exit {_FAILED}
exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"
"""
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def confined(argv: Sequence[str], writable: Sequence[Path]) -> list[str]:
    """Answer how to run `argv` so; as it is where this system lets no user make a namespace."""
    # What is not there must fail as itself, not inside.
    if not os.access(argv[0], os.X_OK) or not possible(writable):
        return list(argv)
    return _prefixed(argv, writable)


def possible(writable: Sequence[Path]) -> bool:
    """Tell whether a program can be run so here, with these directories, which are there."""
    try:
        tried = process.run(
            _prefixed(["/usr/bin/true"], writable), stdin=None, env=_ENVIRONMENT, timeout=60,
            limit=4096)
    except process.ProcessError:
        return False
    return tried.code == 0


def _prefixed(argv: Sequence[str], writable: Sequence[Path]) -> list[str]:
    return [_UNSHARE, "--user", "--map-current-user", "--keep-caps", "--mount", "--",
            "/bin/sh", "-c", _SCRIPT, "confined", *map(str, writable), "--", *argv]
