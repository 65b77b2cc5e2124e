"""What is backed up: the user's pattern file, read and completed with what always holds.

Runs in clients. The file is the user's; it is made with defaults once and never touched again.
"""

import glob
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.files import write_private
from qborg_wire.reply import printable

_LIMIT = 256 * 1024
_TYPES = frozenset({"R", "P", "+", "-", "!"})
_ROOTS = ("/rw/config", "/usr/local", "/rw/bind-dirs")
_TEXT = """\
# What this qube backs up. Yours to edit: qubes-borg made it once and leaves it alone.
# R takes a directory, ! leaves something out, + takes it back; the first match wins.
# All of it: run `borg help patterns`. Directories that hold a CACHEDIR.TAG, the keys of
# qubes-borg and borg's own files are always left out.
R {home}
{roots}
# Only root can read it; without this line every backup would end with a warning.
! pp:/rw/bind-dirs/var/spool/cron
! pp:{home}/.cache
! sh:{home}/.var/app/*/cache
! sh:{home}/.config/**/Cache
! sh:{home}/.config/**/Code Cache
! sh:{home}/.config/**/GPUCache
"""


@dataclass(frozen=True)
class Line:
    """One pattern: its type letter and what follows."""

    kind: str
    rest: str


def default_patterns(home: Path) -> str:
    """Answer the text that a pattern file begins its life with."""
    return _TEXT.format(home=home, roots="\n".join(f"R {root}" for root in _ROOTS))


def make_once(path: Path, text: str) -> None:
    """Write a file of the user's if there is none; whatever lies there stays as it is."""
    if not os.path.lexists(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, text.encode("utf-8"))


def read_text(path: Path, errors: str = "strict") -> str:
    """Answer a file of the user's, who may have made it a link; empty if there is none.

    `errors`: as bytes.decode takes it, of what is not UTF-8.

    Raises ServiceFailure if it cannot be read, is too long, no plain file or not UTF-8.
    """
    try:
        if not path.exists():
            return ""
        if not path.is_file():
            raise ServiceFailure("source-missing", f"{path} is no plain file")
        with path.open("rb") as stream:
            data = stream.read(_LIMIT + 1)
    except OSError as error:
        raise ServiceFailure("source-missing", f"{path}: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise ServiceFailure("source-missing", f"{path} is too long")
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise ServiceFailure("source-missing", f"{path} is not UTF-8") from error


def parse(text: str) -> tuple[Line, ...]:
    """Answer the lines of a pattern file that are neither empty nor comments.

    Raises ServiceFailure naming the number of a line that borg would not understand.
    """
    lines = []
    # borg ends a line at a carriage return too: what hides behind one is read as it reads it.
    for number, raw in enumerate(io.StringIO(text, newline=None), 1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("#"):
            continue
        kind, _space, rest = stripped.partition(" ")
        if kind not in _TYPES or not rest.strip() or "\0" in rest:
            raise ServiceFailure("source-missing", f"patterns, line {number}: not a borg pattern")
        _check_expression(number, rest.strip())
        lines.append(Line(kind, rest.strip()))
    return tuple(lines)


def _check_expression(number: int, rest: str) -> None:
    """Find a broken regular expression here; borg would answer it with a traceback."""
    if rest.startswith("re:"):
        try:
            re.compile(rest.removeprefix("re:"))
        except (re.error, OverflowError, RecursionError) as error:
            reason = printable(f"patterns, line {number}: {error}")
            raise ServiceFailure("source-missing", reason) from error


def compose(lines: Sequence[Line], paths: Paths) -> tuple[str, ...]:
    """Answer the patterns of a run: roots, our own files, what never goes, the user's.

    A default root that this qube lacks is left away; any other that is missing, or no root at
    all, raises ServiceFailure: borg would make an empty archive and call it a success.
    """
    roots = _present_roots([line.rest for line in lines if line.kind == "R"], paths.home)
    if not roots:
        raise ServiceFailure("source-missing", "the patterns name no directory that is here")
    own = [paths.proof, *([paths.manifest] if paths.manifest.exists() else [])]
    roots += [str(path) for path in own if not any(_covers(root, path) for root in roots)]
    rest = [f"{line.kind} {line.rest}" for line in lines if line.kind != "R"]
    return (
        *(f"R {root}" for root in roots),
        *(f"+ pf:{path}" for path in (*_way_to(paths.proof), *own[1:])),
        *(f"! pp:{path}" for path in never(paths)),
        *rest,
    )


def never(paths: Paths) -> tuple[str, ...]:
    """Answer what is left out whatever the user wrote, by both names that a home has."""
    aliases = (str(paths.home), f"/rw{paths.home}")
    inside = [path.relative_to(paths.home) for path in (*paths.secrets, paths.stage)]
    return tuple(f"{alias}/{path}" for alias in aliases for path in inside)


def _present_roots(roots: Sequence[str], home: Path) -> list[str]:
    expanded = [os.path.expanduser(root) for root in roots]
    missing = [root for root in expanded if not os.path.lexists(root) and not glob.glob(root)]
    for root in missing:
        if root not in (*_ROOTS, str(home)):
            raise ServiceFailure("source-missing", f"to be backed up, but not here: {root}")
    return [root for root in expanded if root not in missing]


def _covers(root: str, path: Path) -> bool:
    return Path(os.path.normpath(root)) in (path, *path.parents)


def _way_to(path: Path) -> tuple[Path, ...]:
    """Answer a path after all directories above it: none of them may be skipped on the way."""
    return (*reversed(path.parents[:-1]), path)
