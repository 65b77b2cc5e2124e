"""The outermost process of a lab: makes the namespaces, keeps one child, cleans up after it.

Runs on the host as `python -I -c … CONFIG`, started by client.py. It becomes root of the user
namespace and stays outside the other ones; its child, the supervisor, is PID 1 of those.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from . import inside, ns, recorder, spawner, supervisor
from .errors import LabError, MachineError


@dataclass(frozen=True)
class Config:
    """What a lab is started with; LIFELINE and READY are inherited descriptors (-1: none)."""

    state: str
    world: str
    tree: str
    repository: str
    ip_program: str
    qubesadmin: str | None
    record: str | None
    ephemeral: bool
    lifeline: int
    ready: int

    def dump(self) -> str:
        """Return the argument that `main` reads."""
        return json.dumps(asdict(self))


def main(argument: str) -> int:
    """Become root of a user namespace and the outermost process; return the exit status."""
    config = Config(**json.loads(argument))
    if config.lifeline < 0 and os.fork() != 0:
        # A lab that outlives its starter is nobody's child.
        return 0
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        ns.enter_user_namespace()
        if config.record is not None:
            # In here, since a user's own tracer would take newuidmap's privilege away.
            recorder.become(config.record, inside.command("launch", "outermost", argument))
    except (ns.NamespaceError, OSError) as error:
        return _refused(config, error)
    return outermost(argument)


def outermost(argument: str) -> int:
    """Be the outermost process, which only waits; return the exit status."""
    config = Config(**json.loads(argument))
    try:
        ns.unshare(ns.ALL_BUT_USER)
    except OSError as error:
        return _refused(config, error)
    child = os.fork()
    if child == 0:
        os._exit(_supervise(config))
    os.close(config.ready)
    _wait(child, config.lifeline)
    if config.ephemeral:
        shutil.rmtree(config.state, ignore_errors=True)
    return 0


def _refused(config: Config, error: Exception) -> int:
    """Tell who started the lab why there is none; return the exit status."""
    hint = getattr(error, "hint", "run tests/labctl probe: it names what is missing")
    tell(config.ready, {"error": str(error), "hint": hint})
    return 1


def _wait(child: int, lifeline: int) -> None:
    """Wait for the supervisor; kill it when whoever holds the lifeline is gone."""
    pidfd = os.pidfd_open(child)
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    if lifeline >= 0:
        poller.register(lifeline, select.POLLIN)
    ready = {descriptor for descriptor, _ in poller.poll()}
    if pidfd not in ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _supervise(config: Config) -> int:
    """In the child, PID 1 of the lab: bring it up and serve until it is told to end."""
    try:
        ns.die_with_parent()
        ns.make_mounts_private()
        ns.mount("proc", "/proc", "proc", ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC)
        if config.lifeline >= 0:
            os.close(config.lifeline)
        os.chdir(config.state)
        os.umask(0o022)
        lab = supervisor.Supervisor(config, spawner.fork_spawner())
        lab.bring_up()
        tell(config.ready, {"ready": True})
        os.close(config.ready)
        lab.serve()
    except (LabError, MachineError, ns.NamespaceError) as error:
        tell(config.ready, {"error": str(error), "hint": getattr(error, "hint", "")})
        return 1
    except Exception as error:  # the last frame: nobody above could say it
        traceback.print_exc()
        hint = f"read {config.state}/log/supervisor.log"
        tell(config.ready, {"error": f"{type(error).__name__}: {error}", "hint": hint})
        return 1
    return 0


def tell(descriptor: int, message: dict[str, object]) -> None:
    """Write one JSON message for the process that started the lab."""
    try:
        os.write(descriptor, json.dumps(message).encode())
    except OSError:
        print(message, file=sys.stderr, flush=True)


def state_directories(state: Path) -> None:
    """Make the directories that the supervisor expects."""
    for name in ("run/q", "log"):
        (state / name).mkdir(parents=True, exist_ok=True)
