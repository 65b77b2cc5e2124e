"""The one block of ours in the user's crontab.

Runs in clients. Read and written through crontab(1) only; every other byte stays.
"""

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
    lines = crontab.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if line.strip() == BEGIN.strip()]
    ends = [number for number, line in enumerate(lines) if line.strip() == END.strip()]
    block = [BEGIN, jobs, END]
    if not begins and not ends:
        # cron skips a last line without newline, so ours must not be glued to one.
        glue = [b"\n"] if crontab and not crontab.endswith(b"\n") else []
        return b"".join([*lines, *glue, *block])
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise HalfBlock("the crontab holds part of a qubes-borg block; mend it with crontab -e")
    return b"".join([*lines[:begins[0]], *block, *lines[ends[0] + 1:]])


def planned(jobs: bytes) -> tuple[bytes | None, bool]:
    """Answer what the crontab must become, None if it is so already; changes nothing.

    The second answer tells whether the old scripts' job is in it, which then becomes a comment.

    Raises ServiceFailure without a crontab program, or if the crontab cannot be read, or not
    as it is.
    """
    crontab = _read()
    kept = old_scripts.without_job(crontab)
    try:
        wanted = with_block(kept, jobs)
    except HalfBlock as error:
        raise ServiceFailure("bundle-refused", str(error)) from error
    if crontab != wanted and _SHOWN_RETURN in crontab:
        raise ServiceFailure("bundle-refused", "a line of the crontab ends in a carriage return")
    return (None if crontab == wanted else wanted), kept != crontab


def write(crontab: bytes) -> None:
    """Install the whole crontab; raises ServiceFailure if cron refuses it."""
    finished = _run("-", crontab)
    if finished.code != 0:
        raise ServiceFailure("cron-missing", "crontab refused to install the block")


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
