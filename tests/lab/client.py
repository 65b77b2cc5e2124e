"""The client of a lab: brings one up, runs programs in it, keeps and restores states.

Runs in pytest or labctl on the host. The only module that tests import.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, Sequence

from .account import Account
from .channel import SOCKET, Channel
from .errors import LabError
from .owner import Owner, choose_world, current, is_running, wait_until_down
from .running import RunningProcess

DEFAULT_TIMEOUT = 300.0

RunResult = subprocess.CompletedProcess[bytes]


class Faults:
    """Faults injected at the boundaries the lab owns; see lab.fault_rules.Rule for the fields."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def add(self, **rule: Any) -> None:
        """Add one rule, e.g. where='qubesd', match='admin.vm.Start+', action='kill-caller'."""
        self._channel.ask("faults-set", rule=rule)

    def clear(self) -> None:
        """Drop every rule and the trace."""
        self._channel.ask("faults-clear")


class Server:
    """The backup server of a lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._channel = lab.channel
        self.account = Account(self.exec)

    def exec(self, argv: Sequence[str], user: str = "root", **rest: Any) -> RunResult:
        """Run ARGV on the server without its restricted shell, as root or as the account."""
        return self._lab.exec("server", argv, user=user, **rest)

    def stop_sshd(self) -> None:
        """Refuse new connections; sessions live on."""
        self._channel.ask("server-stop-sshd")

    def start_sshd(self) -> None:
        """Accept connections again."""
        self._channel.ask("server-start-sshd")

    def drop_sessions(self) -> None:
        """Kill every session of the account."""
        self._channel.ask("server-drop-sessions")

    def fill(self) -> None:
        """Leave no free space in the account's home."""
        self._channel.ask("server-fill")

    def unfill(self) -> None:
        """Give the space back."""
        self._channel.ask("server-unfill")

    def offer(self, *names: str) -> None:
        """Offer borg under these names only."""
        self._channel.ask("server-offer", names=list(names))

    def host_key(self) -> str:
        """Return the public host key, type and base64."""
        return str(self._channel.ask("server-host-key"))


class Lab:
    """One running lab. Use `up` or `attach`; LabError says what a person can mend."""

    def __init__(self, state: Path, owner: Owner | None) -> None:
        self.state = state
        self._owner = owner
        self.channel = Channel(state / SOCKET)
        self.faults = Faults(self.channel)
        self.server = Server(self)

    @classmethod
    def up(
        cls, world: str | Path | None = None, state: str | Path | None = None,
        qubesadmin: str | Path | None = None, record: Path | None = None,
    ) -> Lab:  # fmt: skip
        """Bring a lab up and return it.

        WORLD: a TOML file or the name of one in worlds/ (`default` if STATE has none yet). STATE: a
        directory that keeps the lab, which then runs on until `down`; without it the lab ends with
        this process. QUBESADMIN: a directory that holds the genuine package (else LAB_QUBESADMIN,
        else the stand-in). RECORD: a file that gets every program that the lab starts, with all
        its arguments and its whole environment (see recorder.py).
        """
        directory = None if state is None else Path(state).resolve()
        chosen = choose_world(None if world is None else str(world), directory)
        if directory is not None and is_running(directory):
            return cls(directory, None)
        genuine = qubesadmin or os.environ.get("LAB_QUBESADMIN")
        owner = Owner(state, chosen, genuine, record)
        return cls(owner.state, owner)

    @classmethod
    def attach(cls, state: str | Path | None = None) -> Lab:
        """Return the lab that runs in STATE, or the one started last."""
        path = Path(state).resolve() if state is not None else current()
        if path is None or not is_running(path):
            raise LabError("no lab is running" + (f" in {state}" if state else ""),
                           "bring one up: tests/labctl run --state DIR -- COMMAND")  # fmt: skip
        return cls(path, None)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the lab if it has no state directory; else only leave it."""
        self.channel.close()
        if self._owner is not None and self._owner.ephemeral:
            self._owner.end()

    def down(self) -> None:
        """Stop everything in order and end the lab; its state directory stays."""
        self.channel.ask("down")
        self.channel.close()
        wait_until_down(self.state)

    def run(self, argv: Sequence[str], **rest: Any) -> RunResult:
        """Run ARGV in dom0 as `user`; the keywords are those of `exec`."""
        return self.exec("dom0", argv, **rest)

    def exec(
        self, qube: str, argv: Sequence[str], *, user: str = "user", input: bytes | None = None,
        env: Mapping[str, str] | None = None, cwd: str | None = None,
        timeout: float = DEFAULT_TIMEOUT, check: bool = False,
    ) -> RunResult:  # fmt: skip
        """Run ARGV in QUBE and return its code and output, as subprocess.run does.

        After TIMEOUT seconds it is killed and subprocess.TimeoutExpired raised; CHECK raises
        subprocess.CalledProcessError for a code other than 0.
        """
        process = self.popen(qube, argv, user=user, env=env, cwd=cwd, input=input is not None)
        with process:
            stdout, stderr = process.communicate(input, timeout)
        if check and process.returncode != 0:
            code = process.returncode or 0
            raise subprocess.CalledProcessError(code, list(argv), stdout, stderr)
        return subprocess.CompletedProcess(list(argv), process.returncode or 0, stdout, stderr)

    def popen(
        self, qube: str, argv: Sequence[str], *, user: str = "user",
        env: Mapping[str, str] | None = None, cwd: str | None = None, input: bool = True,
    ) -> RunningProcess:  # fmt: skip
        """Start ARGV in QUBE with pipes; it dies with the returned object's `close`."""
        return RunningProcess(self.state / SOCKET, qube, argv, user, env, cwd, input)

    def snapshot(self, label: str) -> None:
        """Keep the whole lab as it is now under LABEL."""
        self.channel.ask("snapshot", label=label)

    def restore(self, label: str) -> None:
        """Put the lab back to LABEL; qubes that ran then are booted afresh."""
        self.channel.ask("restore", label=label)

    def trace(self) -> list[dict[str, Any]]:
        """Return the calls seen by the stand-ins since the last clear, in order."""
        entries: list[dict[str, Any]] = []
        while page := self.channel.ask("trace", start=len(entries)):
            entries += page
        return entries

    def status(self) -> dict[str, Any]:
        """Return what `labctl status` shows."""
        return dict(self.channel.ask("status"))

    def qubes(self) -> dict[str, dict[str, Any]]:
        """Return every qube by name: class, state, uuid, label, template, netvm."""
        return {qube["name"]: qube for qube in self.status()["qubes"]}

    def clone(self, qube: str, name: str) -> None:
        """Copy a halted QUBE under a new NAME, with its volumes, features and tags."""
        self.channel.ask("clone", qube=qube, name=name)

    def do(self, what: str, qube: str) -> None:
        """Ask for one of: start shutdown kill pause unpause net-cut net-restore."""
        self.channel.ask(what, qube=qube)
