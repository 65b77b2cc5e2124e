"""Does cron really run here, and make it run now.

Runs in clients; starting it needs root. Asked of /proc and not of systemd: a unit whose
condition failed at boot counts as fine there and does nothing.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from qborg_service import process
from qborg_service.failure import ServiceFailure

RUNNING, STOPPED, MISSING = "running", "stopped", "missing"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_PATIENCE = 10.0  # seconds until a started cron must be seen
_USUAL_UMASK = 0o022


@dataclass(frozen=True)
class Daemon:
    """One of the two crons: its program, its process's name, its unit."""

    program: Path
    comm: str
    unit: str


_DAEMONS = (
    Daemon(Path("/usr/sbin/cron"), "cron", "cron.service"),
    Daemon(Path("/usr/sbin/crond"), "crond", "crond.service"),
)


def state(proc: Path = Path("/proc")) -> str:
    """Answer running, stopped or missing."""
    if any(_runs(daemon, proc) for daemon in _DAEMONS):
        return RUNNING
    return STOPPED if _installed() else MISSING


def start(services: Path = Path("/run/qubes-service")) -> None:
    """Switch cron on as the boot would have, and start it if it does not run.

    Raises ServiceFailure cron-missing unless its process is there at the end.
    """
    daemon = _installed()
    if daemon is None:
        raise ServiceFailure("cron-missing", "cron is not installed in the template")
    services.mkdir(exist_ok=True)
    services.chmod(0o755)
    switch = services / "crond"
    switch.touch()
    switch.chmod(0o644)
    if state() != RUNNING:
        if Path("/run/systemd/system").is_dir():
            _start_unit(daemon)
        else:
            _start_program(daemon)
    deadline = time.monotonic() + _PATIENCE
    while state() != RUNNING:
        if time.monotonic() > deadline:
            raise ServiceFailure("cron-missing", f"{daemon.program} was started and is not there")
        time.sleep(0.1)


def _installed() -> Daemon | None:
    return next((daemon for daemon in _DAEMONS if daemon.program.exists()), None)


def _runs(daemon: Daemon, proc: Path) -> bool:
    """Look for a process of root's by that name; a user can give a process any name."""
    for entry in proc.iterdir():
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == 0:
                status = (entry / "stat").read_text(encoding="ascii", errors="replace")
                if is_alive(status, daemon.comm):
                    return True
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return False


def is_alive(status: str, comm: str) -> bool:
    """Tell whether the text of /proc/PID/stat is that name's; a zombie does no work any more."""
    name, _parenthesis, rest = status.partition("(")[2].rpartition(")")
    return name == comm and rest.split()[:1] not in (["Z"], ["X"], [])


def _start_unit(daemon: Daemon) -> None:
    argv = ["/usr/bin/systemctl", "start", "--", daemon.unit]
    try:
        finished = process.run(argv, stdin=None, env=_ENVIRONMENT, timeout=20, limit=4096)
    except process.ProcessError as error:
        raise ServiceFailure("cron-missing", str(error)) from error
    if finished.code != 0:
        raise ServiceFailure("cron-missing", f"systemd did not start {daemon.unit}")


def _start_program(daemon: Daemon) -> None:
    """Start the daemon itself; it must not inherit our streams, or the call would never end."""
    old_umask = os.umask(_USUAL_UMASK)
    try:
        subprocess.run(
            [daemon.program], env=_ENVIRONMENT, cwd="/", timeout=20, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceFailure("cron-missing", f"{daemon.program} does not start") from error
    finally:
        os.umask(old_umask)
