"""Starts a lab's outermost process and keeps it alive; finds and removes labs on this machine.

Runs in pytest or labctl on the host. It knows directories, locks and the lifeline; nothing of
what happens in a lab.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from . import inside, launch, template, world
from .channel import SOCKET, Channel
from .errors import LabError

REPOSITORY = Path(__file__).resolve().parents[2]
STOP_SECONDS = 60
STALE_SECONDS = 30
LOCK_SECONDS = 10
WORLD = "world.toml"


class Owner:
    """The process that keeps a lab alive, from the side that started it."""

    def __init__(
        self, state: str | Path | None, world_path: Path, qubesadmin: str | Path | None,
        record: Path | None,
    ) -> None:  # fmt: skip
        self.ephemeral = state is None
        world.load(world_path)
        if qubesadmin and not (Path(qubesadmin) / "qubesadmin/__init__.py").is_file():
            raise LabError(f"there is no package qubesadmin in {qubesadmin}",
                           "give the directory that holds it, or none", 2)  # fmt: skip
        tree = template.ensure()
        self.state = self._directory(state)
        launch.state_directories(self.state)
        ip_program = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if ip_program is None:
            raise LabError("iproute2 is not installed", "as root: apt-get install iproute2", 3)
        self._life = self._start(world_path, tree, ip_program, qubesadmin, record)
        link_current(self.state)

    def _directory(self, state: str | Path | None) -> Path:
        """Return the state directory, locked for as long as the lab lives."""
        if state is None:
            remove_stale()
            path = labs_directory() / secrets.token_hex(4)
        else:
            path = Path(state).resolve()
        path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(self._lock):
            if time.monotonic() > deadline:
                os.close(self._lock)
                raise LabError(f"{path} belongs to a lab that is not up yet or is ending",
                               "wait a moment, or use another --state")  # fmt: skip
            time.sleep(0.01)
        return path

    def _start(
        self, world_path: Path, tree: Path, ip_program: str, qubesadmin: str | Path | None,
        record: Path | None,
    ) -> int:  # fmt: skip
        """Start the outermost process and wait until the lab is up; return the lifeline."""
        life_read, life_write = os.pipe()
        ready_read, ready_write = os.pipe()
        lifeline = life_read if self.ephemeral else -1
        config = launch.Config(
            state=str(self.state), world=str(world_path), tree=str(tree),
            repository=str(REPOSITORY), ip_program=ip_program,
            qubesadmin=str(Path(qubesadmin).resolve()) if qubesadmin else None,
            record=str(record.resolve()) if record is not None else None,
            ephemeral=self.ephemeral, lifeline=lifeline, ready=ready_write,
        )  # fmt: skip
        passed = [ready_write, self._lock, *([life_read] if self.ephemeral else [])]
        with open(self.state / "log/supervisor.log", "ab") as log:
            self._process = subprocess.Popen(
                inside.command("launch", "main", config.dump()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=passed,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        for descriptor in (life_read, ready_write, self._lock):
            os.close(descriptor)
        if not self.ephemeral:
            self._process.wait(STOP_SECONDS)
        # One read: every process of the lab inherits the other end, so its end comes late.
        said = os.read(ready_read, 65536)
        os.close(ready_read)
        message = json.loads(said) if said else {"error": "the lab died while it came up"}
        if "error" in message:
            os.close(life_write)
            self._process.wait(STOP_SECONDS)
            raise LabError(message["error"], message.get("hint", ""))
        return life_write

    def end(self) -> None:
        """Cut the lifeline and wait until nothing is left."""
        os.close(self._life)
        self._process.wait(STOP_SECONDS)


def choose_world(name: str | None, state: Path | None) -> Path:
    """Return the world file to use: that of an existing lab in STATE, else the one called NAME.

    LabError when both are given and differ: a lab that is made is not made over.
    """
    made = state / WORLD if state is not None else None
    if made is None or not made.is_file():
        return world.find(name or "default")
    if name is not None and world.find(name).read_bytes() != made.read_bytes():
        raise LabError(f"the lab in {state} was made from another world than {name}",
                       f"leave --world out, or: tests/labctl down --remove --state {state}", 2)
    return made


def labs_directory() -> Path:
    """Return where labs without a state directory live."""
    path = template.cache_dir() / "labs"
    path.mkdir(exist_ok=True)
    return path


def is_running(state: Path) -> bool:
    """Tell whether a lab answers in STATE."""
    with contextlib.suppress(LabError):
        Channel(state / SOCKET).close()
        return True
    return False


def is_locked(state: Path) -> bool:
    """Tell whether a process of a lab still holds STATE."""
    try:
        lock = os.open(state / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(lock)
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    """Take the lock on an open file, or tell that somebody else has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until_down(state: Path) -> None:
    """Return when no process of the lab in STATE is left; LabError when that takes too long."""
    deadline = time.monotonic() + STOP_SECONDS
    while is_locked(state):
        if time.monotonic() > deadline:
            raise LabError(f"the lab in {state} does not end", f"read {state}/log/supervisor.log")
        time.sleep(0.01)


def current() -> Path | None:
    """Return the state directory of the running lab that was started last, if any runs."""
    links = sorted(_links().iterdir(), key=lambda link: link.lstat().st_mtime_ns)
    return next((link.resolve() for link in reversed(links) if is_running(link.resolve())), None)


def link_current(state: Path) -> None:
    """Note that the lab in STATE was started last; forget those that are gone."""
    for link in _links().iterdir():
        with contextlib.suppress(FileNotFoundError):
            if link.resolve() == state or not is_locked(link.resolve()):
                link.unlink()
    (_links() / secrets.token_hex(4)).symlink_to(state)


def _links() -> Path:
    """Return the directory with one link to the state of each lab."""
    path = template.cache_dir() / "running"
    path.mkdir(exist_ok=True)
    return path


def remove_stale() -> None:
    """Delete what labs without a state directory left when they were killed."""
    before = time.time() - STALE_SECONDS
    for path in labs_directory().iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before and not is_locked(path):
                remove_state(path)


def remove_state(state: Path) -> None:
    """Delete a state directory, whose files belong to ids of the user namespace."""
    inside.call("remove", str(state))
    if state.exists():
        raise LabError(f"{state} could not be removed", "as root: remove it by hand")
