"""PID 1 of a machine: boots it when told, starts processes in it, reaps, stops it.

Runs inside the machine's namespaces, forked from the spawner. After `boot` the root directory is
the machine's own, so nothing may be imported late. It knows nothing of other machines.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import sys
import termios
import time
import traceback
from typing import Callable

from . import accounts, interior, ns, wire

TERM_SECONDS = 3.0


class _Agent:
    """The machine's state: which process answers on which reply socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._replies: dict[int, socket.socket] = {}
        self._handlers: dict[str, Callable[[wire.Message], wire.Message]] = {
            "boot": self._boot, "signal": self._signal, "lookup": self._lookup,
            "pause": lambda request: self._signal_all(signal.SIGSTOP),
            "resume": lambda request: self._signal_all(signal.SIGCONT),
        }  # fmt: skip

    def serve(self, wakeup: int) -> None:
        """Answer requests and reap until told to stop or the supervisor is gone."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(wakeup, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if wakeup in ready:
                os.read(wakeup, 512)
            self._reap()
            if self._control.fileno() in ready and not self._one():
                return

    def _one(self) -> bool:
        """Handle one request; False when the machine is to stop."""
        try:
            request, descriptors = wire.receive(self._control)
        except wire.Closed:
            return False
        reply = socket.socket(fileno=descriptors[0])
        if request["do"] == "spawn":
            self._spawn(request, reply, descriptors[1:])
            wire.close_all(descriptors[1:])
            return True
        with reply:
            if request["do"] == "shutdown":
                self._shutdown()
                return False
            try:
                answer = self._handlers[request["do"]](request)
            except Exception as error:  # the one frame that can still tell the log and the caller
                traceback.print_exc()
                answer = {"failed": f"{request['do']}: {type(error).__name__}: {error}"}
            _answer(reply, answer)
        return True

    def _boot(self, request: wire.Message) -> wire.Message:
        """Mount and enter the machine's own root and start its services."""
        interior.boot(request)
        return {}

    def _spawn(self, request: wire.Message, reply: socket.socket, stdio: list[int]) -> None:
        """Fork a process; the reply socket stays open until it ends."""
        try:
            account = accounts.find(request["user"])
        except accounts.UnknownUser as error:
            with reply:
                _answer(reply, {"exit": 125, "error": str(error)})
            return
        pid = os.fork()
        if pid == 0:
            _exec(request, account, stdio)
        try:
            wire.send_with_pid(reply, {"pid": pid}, pid)
        except (wire.Closed, OSError) as error:
            print(f"spawn: {error}", file=sys.stderr, flush=True)
        self._replies[pid] = reply

    def _reap(self) -> None:
        """Collect every dead child and tell who waits for it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            reply = self._replies.pop(pid, None)
            if reply is not None:
                code = os.waitstatus_to_exitcode(status)
                with reply:
                    _answer(reply, {"exit": code if code >= 0 else 128 - code})

    def _signal(self, request: wire.Message) -> wire.Message:
        """Send a signal to every process of the session that a started process leads."""
        leader = int(request["pid"])
        if leader in self._replies:
            for pid in _session(leader):
                _kill(pid, int(request["number"]))
        return {}

    def _lookup(self, request: wire.Message) -> wire.Message:
        """Say which of the given paths are files, and whether they may be executed."""
        found = []
        for path in request["paths"]:
            try:
                mode = os.stat(path).st_mode
            except (OSError, ValueError):
                continue
            if stat.S_ISREG(mode) or stat.S_ISSOCK(mode):
                found.append((path, bool(mode & 0o111)))
        return {"found": found}

    def _signal_all(self, number: signal.Signals) -> wire.Message:
        """Send a signal to every process of the machine but this one."""
        _kill(-1, number)
        return {}

    def _shutdown(self) -> None:
        """SIGTERM everything, wait, SIGKILL what is left; the kernel does the rest."""
        _kill(-1, signal.SIGTERM)
        _kill(-1, signal.SIGCONT)
        deadline = time.monotonic() + TERM_SECONDS
        while time.monotonic() < deadline and _others():
            time.sleep(0.005)
            self._reap()
        _kill(-1, signal.SIGKILL)


def _answer(reply: socket.socket, message: wire.Message) -> None:
    """Send a reply to somebody who may be gone."""
    try:
        wire.send(reply, message)
    except (wire.Closed, OSError):
        return


def _kill(pid: int, number: int) -> None:
    """Send a signal to what may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _others() -> bool:
    """Tell whether the machine has a process besides this one that is not a zombie."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and entry != "1" and _stat(int(entry))[0] not in ("Z", ""):
            return True
    return False


def _stat(pid: int) -> tuple[str, int]:
    """Return a process's state letter and session; ('', 0) when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[3])


def _session(leader: int) -> list[int]:
    """Return the processes whose session LEADER leads, itself included."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if pid == leader or (pid > 1 and _stat(pid)[1] == leader)]


def _exec(request: wire.Message, account: accounts.Account, stdio: list[int]) -> None:
    """In the child: become the user, take the descriptors, execute; never returns."""
    status = 125
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        for target, source in enumerate(stdio):
            os.dup2(source, target)
        # The rest is the lab's own, some of it meant to be inherited, and reaches to the host.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        if os.isatty(0):
            # Somebody else's terminal cannot be taken; the program just has none then.
            with contextlib.suppress(OSError):
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        environment = account.login_environment() if request["login"] else {}
        environment |= request["env"]
        accounts.become(account)
        os.umask(0o022)
        directory = request["cwd"] or (account.home if request["login"] else "/")
        os.chdir(directory if os.path.isdir(directory) else "/")
        status = 127
        os.execvpe(request["argv"][0], request["argv"], environment)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.ENOEXEC, errno.EISDIR):
            status = 126
        os.write(2, f"{request['argv'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


def main(name: str, control: socket.socket, log: int) -> int:
    """Be PID 1 of machine NAME; return when it stops."""
    os.setsid()
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    ns.set_hostname(name)
    _Agent(control).serve(wake_read)
    return 0
