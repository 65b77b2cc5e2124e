"""The one block of ours in the user's crontab.

Runs in clients. Read and written through crontab(1) only; every other byte stays.
"""

from collections.abc import Callable
from pathlib import Path

from qborg_client import old_scripts
from qborg_service import process
from qborg_service.failure import ServiceFailure

BEGIN, END = b"# BEGIN qubes-borg\n", b"# END qubes-borg\n"
_CRONTAB = "/usr/bin/crontab"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C"}
_LIMIT = 1024 * 1024
_NO_CRONTAB = b"no crontab for "
_SHOWN_RETURN = b"\\r\n"  # Debian's crontab -l shows a carriage return so: it would be lost


class HalfBlock(ValueError):
    """A begin without its end, or more than one: a person must look."""


def with_block(crontab: bytes, jobs: bytes) -> bytes:
    """Answer the crontab with our block holding `jobs`: in its old place, else at the end."""
    before, found, after = _split(crontab)
    # cron skips a last line without newline, so ours must not be glued to one.
    glue = b"\n" if not found and crontab and not crontab.endswith(b"\n") else b""
    return b"".join([before, glue, BEGIN, jobs, END, after])


def without_block(crontab: bytes) -> bytes:
    """Answer the crontab less our block; raises HalfBlock as with_block does."""
    before, _found, after = _split(crontab)
    return before + after


def _split(crontab: bytes) -> tuple[bytes, bool, bytes]:
    """Answer what stands before our block, whether there is one, and what stands after it."""
    lines = crontab.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if line.strip() == BEGIN.strip()]
    ends = [number for number, line in enumerate(lines) if line.strip() == END.strip()]
    if not begins and not ends:
        return crontab, False, b""
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise HalfBlock("the crontab holds part of a qubes-borg block; mend it with crontab -e")
    return b"".join(lines[:begins[0]]), True, b"".join(lines[ends[0] + 1:])


def planned(jobs: bytes) -> tuple[bytes | None, bool]:
    """Answer what the crontab must become, None if it is so already; changes nothing.

    The second answer tells whether the old scripts' job is in it, which then becomes a comment.

    Raises ServiceFailure without a crontab program, or if the crontab cannot be read, or not
    as it is.
    """
    crontab = _read()
    kept = old_scripts.without_job(crontab)
    return _wanted(crontab, lambda: with_block(kept, jobs)), kept != crontab


def planned_removal() -> bytes | None:
    """Answer what the crontab must become to be without our block, None if it is so already.

    A job that `planned` made a comment stays one. Where cron is gone, nothing of ours runs. Raises
    ServiceFailure as `planned` does.
    """
    if not Path(_CRONTAB).exists():
        return None
    crontab = _read()
    return _wanted(crontab, lambda: without_block(crontab))


def _wanted(crontab: bytes, change: Callable[[], bytes]) -> bytes | None:
    try:
        wanted = change()
    except HalfBlock as error:
        raise ServiceFailure("bundle-refused", str(error)) from error
    if crontab != wanted and _SHOWN_RETURN in crontab:
        raise ServiceFailure("bundle-refused", "a line of the crontab ends in a carriage return")
    return None if crontab == wanted else wanted


def write(crontab: bytes) -> None:
    """Install the whole crontab, or have none if it is empty; raises if cron refuses it."""
    finished = _run("-", crontab) if crontab else _run("-r", None)
    if finished.code != 0:
        raise ServiceFailure("cron-missing", "crontab refused to change the block")


def _read() -> bytes:
    finished = _run("-l", None)
    if finished.code == 0:
        return finished.stdout
    if finished.code == 1 and _NO_CRONTAB in finished.stderr:
        return b""
    raise ServiceFailure("cron-missing", "crontab -l failed; may this user use cron?")


def _run(option: str, stdin: bytes | None) -> process.Finished:
    try:
        return process.run(
            [_CRONTAB, option], stdin=stdin, env=_ENVIRONMENT, timeout=20, limit=_LIMIT
        )
    except process.ProgramMissing as error:
        raise ServiceFailure("cron-missing", "cron is not installed in the template") from error
    except process.ProcessError as error:
        raise ServiceFailure("cron-missing", str(error)) from error
