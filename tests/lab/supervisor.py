"""One lab: puts storage, machines, the server and Qubes' stand-ins together and brings them up.

Runs as PID 1 of the lab's namespaces. It knows the order of things; each thing itself is another
module's.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import control, kit, ns, world
from .errors import LabError, MachineError
from .faults import Faults
from .machines import Boot, Machines
from .net import Network
from .process import Spawner
from .qrexec import Qrexec
from .qubesd import Qubesd
from .report import PROGRAM as POST_INSTALL
from .server import NAME as SERVER
from .server import BackupServer
from .volumes import Volumes

if TYPE_CHECKING:
    from .launch import Config

DOM0 = "dom0"
NOT_QUBES = (DOM0, SERVER)
INSTALL_SECONDS = 600
MAKING = "making"
# The genuine storage drivers take their time, too, when the qube is off already.
COMMIT_SECONDS = 0.1

_DOM0_UP = """set -eu
install -d -m 0775 -g qubes /run/qubes
install -d -m 2770 -g qubes /run/qubes/policy.d
: > /run/qubesd.sock
mount --bind /run/lab/qubesd.sock /run/qubesd.sock
"""


class Supervisor:
    """One lab from its start to its end."""

    def __init__(self, config: Config, spawner: Spawner) -> None:
        self.config = config
        self.state = Path(config.state)
        self.world = world.load(Path(config.world))
        self.ended = threading.Event()
        self.busy = threading.RLock()
        tree = Path(config.tree)
        self._forget_half_made()
        self._link("base", tree)
        given = Path(config.qubesadmin) if config.qubesadmin else None
        kit.build(self.state, tree, self.world.server, given)
        self._qubes_group = kit.group_id(tree, "qubes")
        self.volumes = Volumes(self.state)
        network = Network(config.ip_program)
        network.make_router()
        self.machines = Machines(self.state, self.volumes, network, spawner)
        self.machines.hosts = f"{self.world.server.address} {self.world.server.host}\n"
        self.server = BackupServer(self.machines, self.world.server)
        self.faults = Faults()
        self.faults.kill_sshd = self.server.kill_sshd
        self.qubesd = Qubesd(
            self.machines, self.state / "qubesd.json", self.state / "log/qubesd.log", self.faults
        )
        dom0 = self.state / "run/dom0-root"
        policy = (dom0 / "etc/qubes/policy.d", dom0 / "run/qubes/policy.d")
        self.qrexec = Qrexec(
            self.machines, self.qubesd, policy, self.state / "log/qrexec.log", self.faults
        )
        self.machines.on("boot", self._listen)
        self.machines.on("stop", self._close)
        self.machines.on("end", self._ended)
        self.machines.on("exit", self._died)
        self._spawner_pid = spawner.pid

    def _forget_half_made(self) -> None:
        """Begin anew where an earlier start was killed before everything was there."""
        if (self.state / MAKING).exists():
            for name in ("vol", "layers", "snapshots"):
                shutil.rmtree(self.state / name, ignore_errors=True)
            (self.state / "qubesd.json").unlink(missing_ok=True)

    def bring_up(self) -> None:
        """Create what is new, start dom0, the server and the qubes that shall run."""
        created = not self.volumes.known(DOM0)
        if created:
            self._create()
        self._qubesd_socket()
        self.machines.on_template_change(self.qubesd.report_template)
        if created:
            for template in self.world.templates:
                # An installation ends with a report, which a running template makes. As for Qubes'
                # own triggers its exit code says nothing.
                self.machines.boot(template.name, Boot(persistence="full"))
                self.machines.run(template.name, ["/bin/sh", "-c", f"{POST_INSTALL} || true"])
                self.machines.shutdown(template.name)
            self.qubesd.create_qubes(self.world)
            # The next start takes this one, whatever the file says then.
            shutil.copyfile(self.config.world, self.state / "world.toml")
            (self.state / MAKING).unlink()
        self.start_outer()
        for qube in self.world.qubes:
            if qube.running:
                self.qubesd.start(qube.name)
        control.listen(self)
        threading.Thread(target=self._watch_spawner, daemon=True).start()

    def serve(self) -> None:
        """Return when the lab is told to end."""
        self.ended.wait()

    def start_outer(self) -> None:
        """Boot dom0 and the server, side by side."""
        failures: list[MachineError] = []

        def start_server() -> None:
            """Start the server and keep what went wrong for the caller."""
            try:
                self.server.start()
            except MachineError as error:
                failures.append(error)

        thread = threading.Thread(target=start_server)
        thread.start()
        self.machines.boot(DOM0, Boot(persistence="full"))
        self._link("run/dom0-root", Path(f"/proc/{self.machines.agent_pid(DOM0)}/root"))
        self.machines.run(DOM0, ["/bin/sh", "-c", _DOM0_UP])
        thread.join()
        if failures:
            raise failures[0]

    def _create(self) -> None:
        """Make dom0, the server and the templates, and install into them."""
        (self.state / MAKING).touch()
        self.machines.create(DOM0, "AdminVM", None)
        self.machines.create(SERVER, "Server", None)
        self.qubesd.create_templates(self.world)
        self._install(DOM0, self.world.dom0.install)
        for template in self.world.templates:
            self._install(template.name, template.install)

    def _install(self, name: str, lines: tuple[str, ...]) -> None:
        """Run shell LINES on the host in the repository with $ROOT = NAME's tree."""
        if not lines:
            return
        storage = self.volumes.new_layer(name)
        root = str(self.state / "mnt")
        ns.overlay(storage.lower, storage.upper, storage.work, root)
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL")}
        environment |= {"ROOT": root, "HOME": "/root"}
        try:
            for line in lines:
                done = subprocess.run(
                    ["/bin/sh", "-c", line], cwd=self.config.repository, env=environment,
                    stdin=subprocess.DEVNULL, capture_output=True, check=False,
                    timeout=INSTALL_SECONDS,
                )  # fmt: skip
                if done.returncode != 0:
                    said = (done.stdout + done.stderr)[-2000:].decode("utf-8", "replace").strip()
                    print(said, file=sys.stderr, flush=True)
                    last = said.splitlines()[-1] if said else "no words"
                    raise LabError(f"installing into {name} failed: {line}: {last}",
                                   "run it by hand: ROOT=/tmp/root " + line)  # fmt: skip
        finally:
            ns.umount(root)
        self.volumes.commit_layer(name)

    def _qubesd_socket(self) -> None:
        """Listen where dom0 sees qubesd's socket."""
        listener = self._socket(DOM0, "qubesd.sock", 0o660)
        self.qubesd.serve(listener)

    def _listen(self, name: str) -> None:
        """Give a machine that boots its own qrexec socket: that is its identity."""
        if name != SERVER:
            self.qrexec.listen(name, self._socket(name, "qrexec.sock", 0o666))

    def _close(self, name: str) -> None:
        """Take a stopped machine's qrexec socket away."""
        if name != SERVER:
            self.qrexec.close(name)

    def _ended(self, name: str) -> None:
        """Tell qubesd of a machine that ended; its volumes are put away a moment later."""
        if name not in NOT_QUBES:
            self.qubesd.machine_ended(name)
            time.sleep(COMMIT_SECONDS)

    def _died(self, name: str) -> None:
        """Tell qubesd of a machine that ended by itself."""
        if name not in NOT_QUBES:
            self.qubesd.machine_died(name)

    def _socket(self, name: str, file: str, mode: int) -> socket.socket:
        """Listen on a socket in the run directory of a machine."""
        directory = self.machines.run_dir(name)
        directory.mkdir(parents=True, exist_ok=True)
        # Relative, because the path of a socket has at most 107 bytes.
        path = f"run/q/{name}/{file}"
        if os.path.lexists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        os.chown(path, 0, self._qubes_group)
        os.chmod(path, mode)
        listener.listen(64)
        return listener

    def _link(self, name: str, target: Path) -> None:
        """Make STATE/NAME a symlink to TARGET."""
        temporary = self.state / f"{name}.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.rename(self.state / name)

    def _watch_spawner(self) -> None:
        """End the lab with the spawner: without it nothing can boot any more."""
        os.waitpid(self._spawner_pid, 0)
        self.ended.set()

    def stop(self) -> None:
        """Stop everything in order; whoever asked ends the lab once it has its answer."""
        with self.busy:
            self.server.sync()
            for name in reversed(self.machines.running()):
                self.machines.shutdown(name)

    def snapshot(self, label: str) -> None:
        """Keep the whole lab as it is under LABEL; what runs is only held for that moment."""
        with self.busy:
            self.server.sync()
            running = self.machines.running()
            held = [name for name in running if not self.machines.paused(name)]
            try:
                for name in held:
                    self.machines.pause(name)
                self.volumes.snapshot(label, running)
                data: dict[str, Any] = {
                    "running": [name for name in running if name not in NOT_QUBES],
                    "offered": self.server.offered, "sshd": self.server.sshd_wanted,
                }  # fmt: skip
                directory = self.state / "snapshots" / label
                (directory / "qubesd.store").write_bytes(self.qubesd.snapshot())
                (directory / "lab.json").write_text(json.dumps(data), encoding="utf-8")
            finally:
                for name in reversed(held):
                    self.machines.unpause(name)

    def restore(self, label: str) -> None:
        """Put the lab back to snapshot LABEL; what ran then is booted afresh."""
        directory = self.state / "snapshots" / label
        with self.busy:
            if not directory.is_dir():
                raise MachineError(f"no snapshot named {label}")
            self.machines.kill_all(self.machines.running())
            self.volumes.restore(label)
            data = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
            self.qubesd.restore((directory / "qubesd.store").read_bytes())
            self.server.offered = tuple(data["offered"])
            self.server.sshd_wanted = data["sshd"]
            self.start_outer()
            for name in data["running"]:
                self.qubesd.start(name)
