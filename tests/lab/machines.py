"""The "hypervisor": creates, boots, stops and enters machines (qubes, dom0, the server).

Runs in the supervisor, called from several threads. It knows storage, namespaces and cables;
nothing of features, policy or the Admin API.
"""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Mapping, Sequence

from . import wire
from .boot import Boot, Running
from .errors import MachineError
from .net import Network
from .process import Process, Spawner
from .report import READ, parse_report
from .volumes import Volumes

__all__ = ["Boot", "MachineError", "Machines", "Process"]

STOP_SECONDS = 20.0

class Machines:
    """All machines of one lab. Methods raise MachineError; one call at a time per machine."""

    def __init__(self, state: Path, volumes: Volumes, network: Network, spawner: Spawner) -> None:
        self._state = state
        self._volumes = volumes
        self._network = network
        self._spawner = spawner
        self._lock = threading.RLock()
        self._running: dict[str, Running] = {}
        self._ending: dict[str, threading.Event] = {}
        self._callbacks: dict[str, list[Callable[[str], None]]] = {
            event: [] for event in ("boot", "end", "stop", "exit")
        }
        self._template_callbacks: list[Callable[[str, list[str], list[str]], None]] = []
        self.hosts = ""

    def create(self, name: str, klass: str, template: str | None) -> None:
        """Make the storage of a new machine; KLASS as in Qubes (AppVM, TemplateVM …)."""
        self._volumes.create(name, klass, template)
        (self.run_dir(name) / "qubesdb").mkdir(parents=True, exist_ok=True)

    def remove(self, name: str) -> None:
        """Delete the storage of a halted machine."""
        self.settle(name)
        if self.alive(name):
            raise MachineError(f"{name} is running")
        self._volumes.remove(name)

    def copy_volume(self, source: str, target: str, volume: str) -> None:
        """Replace TARGET's VOLUME ('private' or 'root') by a copy of SOURCE's; both halted."""
        self.settle(source)
        self.settle(target)
        self._volumes.copy(source, target, volume)

    def run_dir(self, name: str) -> Path:
        """Return the host directory that the machine sees as /run/lab."""
        return self._state / "run" / "q" / name

    def on(self, event: str, callback: Callable[[str], None]) -> None:
        """Call CALLBACK(name) at an EVENT of any machine.

        boot: just before it boots; its run_dir exists. end: its PID 1 is dead, its volumes are not
        put away yet. stop: now they are, however it came about. exit: so, and it died by itself.
        """
        self._callbacks[event].append(callback)

    def on_template_change(
        self, callback: Callable[[str, list[str], list[str]], None]
    ) -> None:
        """Call CALLBACK(name, rpc names, services) at the shutdown of one that keeps its root."""
        self._template_callbacks.append(callback)

    def boot(self, name: str, boot: Boot, *, uplink: bool = False) -> None:
        """Start NAME and return when its agent answers; MachineError when it does not.

        UPLINK: a machine of the outside world, on the network without any netvm.
        """
        with self._lock:
            if name in self._running:
                raise MachineError(f"{name} is already running")
            self._write_qubesdb(name, boot.qubesdb)
            for callback in self._callbacks["boot"]:
                callback(name)
            storage = self._volumes.prepare(name, boot.template, boot.clone_of)
            log = self._state / "log" / f"{name}.log"
            agent = self._spawner.start(name, log)
            running = Running(agent, boot)
            self._running[name] = running
        threading.Thread(target=self._watch, args=(name, running), daemon=True).start()
        try:
            with self._lock:
                running.cable = self._connect(boot, agent.pid, uplink)
                self._follow_netvms()
            request = asdict(storage) | {
                "do": "boot", "hosts": self.hosts if running.cable else "", "ip": boot.ip,
                "cable": running.cable is not None, "services": dict(boot.services),
                "persistence": boot.persistence, "uuid": boot.uuid, "run": str(self.run_dir(name)),
                "persist": [v for k, v in boot.qubesdb.items() if k.startswith("/persist/")],
            }  # fmt: skip
            agent.ask(request)
        except (MachineError, OSError) as error:
            self.kill(name)
            raise MachineError(f"{name} did not boot: {error}") from error

    def _connect(self, boot: Boot, pid: int, uplink: bool) -> str | None:
        """Plug a cable into a machine that has a network; return its name."""
        if not boot.ip or (boot.netvm is None and not uplink):
            return None
        return self._network.attach(pid, boot.mac, boot.ip, outside=uplink)

    def _write_qubesdb(self, name: str, values: Mapping[str, str]) -> None:
        """Replace the machine's qubesdb directory by VALUES (path -> value)."""
        directory = self.run_dir(name) / "qubesdb"
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.iterdir():
            old.unlink()
        for path, value in values.items():
            (directory / path.replace("/", "%")).write_text(value, encoding="utf-8")

    def _follow_netvms(self) -> None:
        """Let each cable carry only while every netvm up the chain is running."""
        for running in self._running.values():
            if running.cable is None or running.stopping:
                continue
            try:
                self._network.carry(running.cable, self._uplink(running.boot.netvm))
            except MachineError:
                # It died a moment ago and took its end of the cable along.
                continue

    def _uplink(self, netvm: str | None) -> bool:
        """Tell whether NETVM and its own netvms run (and are not paused)."""
        seen: set[str] = set()
        while netvm is not None and netvm not in seen:
            seen.add(netvm)
            running = self._running.get(netvm)
            if running is None or running.paused or running.stopping:
                return False
            netvm = running.boot.netvm
        return True

    def _watch(self, name: str, running: Running) -> None:
        """Wait for PID 1 of NAME to end, keep its volumes, tell who asked to know."""
        running.agent.wait()
        self._ending[name] = running.gone
        for callback in self._callbacks["end"]:
            callback(name)
        with self._lock:
            del self._running[name]
            self._volumes.stopped(name)
            if running.cable is not None:
                self._network.detach(running.cable)
            self._follow_netvms()
        for callback in self._callbacks["stop"]:
            callback(name)
        for tell in self._template_callbacks if running.report else []:
            tell(name, *parse_report(running.report or b""))
        del self._ending[name]
        running.gone.set()
        if not running.stopping:
            for callback in self._callbacks["exit"]:
                callback(name)

    def shutdown(self, name: str) -> None:
        """Stop NAME in order: SIGTERM, some time, SIGKILL; its volumes are committed."""
        running = self._get(name)
        running.stopping = True
        if running.paused:
            self.unpause(name)
        try:
            if self._volumes.is_persistent(name):
                running.report = running.agent.run(["/bin/sh", "-c", READ], b"", "root")
            running.agent.ask({"do": "shutdown"})
        except MachineError:
            running.agent.kill()
        self._wait_gone(name, running)

    def kill(self, name: str) -> None:
        """Stop NAME at once; its volumes are committed as after a shutdown."""
        running = self._running.get(name)
        if running is None:
            return
        running.stopping = True
        running.agent.kill()
        self._wait_gone(name, running)

    def kill_all(self, names: Sequence[str]) -> None:
        """Stop all of NAMES at once, together."""
        found = [(name, self._running[name]) for name in names if name in self._running]
        for _, running in found:
            running.stopping = True
            running.agent.kill()
        for name, running in found:
            self._wait_gone(name, running)

    def settle(self, name: str) -> None:
        """Wait until the watcher has put NAME away, if its PID 1 is dead."""
        ending = self._ending.get(name)
        if ending is not None:
            ending.wait(STOP_SECONDS)

    def _wait_gone(self, name: str, running: Running) -> None:
        """Wait until the watcher has put NAME away."""
        if not running.gone.wait(STOP_SECONDS):
            running.agent.kill()
            if not running.gone.wait(STOP_SECONDS):
                raise MachineError(f"{name} does not stop")

    def pause(self, name: str) -> None:
        """Stop every process of NAME where it is; calls into it wait."""
        running = self._get(name)
        if not running.paused:
            running.agent.ask({"do": "pause"})
            running.agent.stop()
            running.paused = True

    def unpause(self, name: str) -> None:
        """Let a paused NAME go on."""
        running = self._get(name)
        if running.paused:
            running.paused = False
            running.agent.resume()
            running.agent.ask({"do": "resume"})

    def alive(self, name: str) -> bool:
        """Tell whether NAME is up (paused counts)."""
        running = self._running.get(name)
        return running is not None and not running.stopping and name not in self._ending

    def paused(self, name: str) -> bool:
        """Tell whether a running NAME is paused."""
        return self._get(name).paused

    def running(self) -> list[str]:
        """Return the names of the machines that are up, in the order they were started."""
        return [name for name in list(self._running) if self.alive(name)]

    def boot_of(self, name: str) -> Boot:
        """Return how a running NAME was started."""
        return self._get(name).boot

    def agent_pid(self, name: str) -> int:
        """Return the PID 1 of NAME as the supervisor sees it."""
        return self._get(name).agent.pid

    def cut(self, name: str, *, restore: bool = False) -> None:
        """Pull NAME's cable (packets vanish silently), or with RESTORE plug it in again."""
        cable = self._get(name).cable
        if cable is None:
            raise MachineError(f"{name} has no network")
        self._network.cut(cable, not restore)

    def spawn(
        self, name: str, argv: Sequence[str], *, user: str, env: Mapping[str, str] | None,
        login: bool, stdin: int, stdout: int, stderr: int, cwd: str | None = None,
    ) -> Process:  # fmt: skip
        """Start ARGV in NAME as USER with three descriptors (the caller closes its own).

        LOGIN: environment as of a PAM login shell, ENV on top, in the home directory. An unknown
        user gives exit code 125, a missing program 127, one that cannot be executed 126.
        """
        request: wire.Message = {
            "do": "spawn", "argv": list(argv), "user": user, "env": dict(env or {}),
            "login": login, "cwd": cwd,
        }  # fmt: skip
        return self._get(name).agent.spawn(request, (stdin, stdout, stderr))

    def run(self, name: str, argv: Sequence[str], data: bytes = b"", user: str = "root") -> bytes:
        """Run ARGV in NAME, feed it DATA, return its output; MachineError when it fails."""
        return self._get(name).agent.run(argv, data, user)

    def lookup(self, name: str, candidates: Sequence[str]) -> list[tuple[str, bool]]:
        """Return those of CANDIDATES that are files in NAME, with "may be executed"."""
        found = self._get(name).agent.ask({"do": "lookup", "paths": list(candidates)})["found"]
        return [(str(path), bool(executable)) for path, executable in found]

    def revisions(self, name: str, volume: str) -> list[str]:
        """Return the ids of the kept revisions of VOLUME, oldest first."""
        return self._volumes.revisions(name, volume)

    def set_revisions_to_keep(self, name: str, volume: str, count: int) -> None:
        """Keep COUNT revisions of VOLUME from the next stop on; none are kept with 0."""
        self._volumes.set_revisions_to_keep(name, volume, count)

    def _get(self, name: str) -> Running:
        """Return the record of a running machine; MachineError when it is not up."""
        running = self._running.get(name)
        if running is None:
            raise MachineError(f"{name} is not running")
        return running
