"""The supervisor's control socket: what labctl and tests may ask of a lab.

Runs in the supervisor, one thread for each connection. A request is {"do": NAME, …}; the reply
is {"ok": …} or {"error": …, "hint": …}. `exec` carries three descriptors and has two replies.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, Callable, Mapping

from . import store, wire
from .api_errors import ApiError
from .channel import SOCKET
from .errors import LabError, MachineError
from .fault_rules import Rule
from .faults import TraceEntry
from .process import Process

if TYPE_CHECKING:
    from .supervisor import Supervisor

_PAGE = 500  # entries of the trace in one message: some 100 bytes each
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")
_Handler = Callable[[wire.Message], Any]


def listen(lab: Supervisor) -> None:
    """Open the control socket of LAB and serve it from now on."""
    if os.path.lexists(SOCKET):
        os.unlink(SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Bound by its relative name: the path of a socket has at most 107 bytes.
    listener.bind(SOCKET)
    os.chmod(SOCKET, 0o600)
    listener.listen(64)
    threading.Thread(target=_accept, args=(listener, _handlers(lab), lab), daemon=True).start()


def _accept(listener: socket.socket, handlers: Mapping[str, _Handler], lab: Supervisor) -> None:
    """Give each connection a thread."""
    while True:
        connection, _ = listener.accept()
        arguments = (connection, handlers, lab)
        threading.Thread(target=_converse, args=arguments, daemon=True).start()


def _handlers(lab: Supervisor) -> dict[str, _Handler]:
    """Return what each request does; every name in a request is a word of this table."""
    machines, server, power = lab.machines, lab.server, lab.qubesd.power

    def qube(request: wire.Message) -> store.Qube:
        """Return the qube that a request names; ApiError when there is none."""
        return lab.qubesd.store.get(str(request["qube"]))

    return {
        "status": lambda r: status(lab),
        "faults-set": lambda r: lab.faults.add(Rule.from_json(r["rule"])),
        "faults-clear": lambda r: lab.faults.clear(),
        "trace": lambda r: _page(lab.faults.trace(), int(r["start"])),
        "snapshot": lambda r: lab.snapshot(_label(r)),
        "restore": lambda r: lab.restore(_label(r)),
        "start": lambda r: lab.qubesd.start(r["qube"]),
        "shutdown": lambda r: lab.qubesd.shutdown(r["qube"]),
        "kill": lambda r: power.kill(qube(r)),
        "pause": lambda r: power.pause(qube(r)),
        "unpause": lambda r: power.unpause(qube(r)),
        "clone": lambda r: lab.qubesd.clone(str(r["qube"]), store.check_name(str(r["name"]))),
        "net-cut": lambda r: machines.cut(r["qube"]),
        "net-restore": lambda r: machines.cut(r["qube"], restore=True),
        "server-stop-sshd": lambda r: server.stop_sshd(),
        "server-start-sshd": lambda r: server.start_sshd(),
        "server-drop-sessions": lambda r: server.drop_sessions(),
        "server-fill": lambda r: server.fill(),
        "server-unfill": lambda r: server.unfill(),
        "server-offer": lambda r: server.offer(tuple(r["names"])),
        "server-host-key": lambda r: server.host_key(lab.volumes.private("server")),
        "down": lambda r: lab.stop(),
    }


def _page(entries: tuple[TraceEntry, ...], start: int) -> list[dict[str, object]]:
    """Return as many entries from START on as a message surely holds."""
    return [entry.to_json() for entry in entries[start : start + _PAGE]]


def _label(request: wire.Message) -> str:
    """Return a snapshot's name; ValueError when it could be something else."""
    label = str(request["label"])
    if not _LABEL.fullmatch(label):
        raise ValueError(f"a snapshot's name matches {_LABEL.pattern}")
    return label


def status(lab: Supervisor) -> dict[str, Any]:
    """Describe the lab for a person or a test."""
    world = lab.world.server
    return {
        "state": lab.config.state, "world": lab.config.world, "qubes": lab.qubesd.info(),
        "server": {
            "host": world.host, "address": world.address, "user": world.user,
            "borg": list(lab.server.offered), "sshd": lab.server.sshd_wanted,
        },
    }  # fmt: skip


def _converse(connection: socket.socket, handlers: Mapping[str, _Handler], lab: Supervisor) -> None:
    """Answer the requests of one connection until it closes."""
    with connection:
        while True:
            try:
                request, descriptors = wire.receive(connection)
                if request.get("do") == "exec":
                    _execute(connection, request, descriptors, lab)
                else:
                    wire.close_all(descriptors)
                    answer = _answer(request, handlers)
                    wire.send(connection, answer)
                    if request.get("do") == "down" and "ok" in answer:
                        lab.ended.set()
            except (wire.Closed, OSError):
                return


def _answer(request: wire.Message, handlers: Mapping[str, _Handler]) -> wire.Message:
    """Do one request and return the reply."""
    name = str(request.get("do"))
    handler = handlers.get(name)
    if handler is None:
        return {"error": f"unknown request {name!r}", "hint": f"known: {', '.join(handlers)}"}
    try:
        return {"ok": handler(request)}
    except (MachineError, ApiError, LabError, ValueError, KeyError) as error:
        hint = getattr(error, "hint", "") or "tests/labctl status tells what there is"
        return {"error": f"{name}: {error}", "hint": hint}


def _execute(
    connection: socket.socket, request: wire.Message, descriptors: list[int], lab: Supervisor
) -> None:
    """Run a program in a machine for the client; it dies with the connection."""
    try:
        if len(descriptors) != 3:
            raise MachineError("exec wants three descriptors")
        process = lab.machines.spawn(
            request["qube"], request["argv"], user=request["user"], env=request["env"],
            login=True, cwd=request["cwd"],
            stdin=descriptors[0], stdout=descriptors[1], stderr=descriptors[2],
        )  # fmt: skip
    except (MachineError, ValueError) as error:
        hint = f"tests/labctl start {request['qube']}"
        wire.send(connection, {"error": str(error), "hint": hint})
        return
    finally:
        wire.close_all(descriptors)
    wire.send(connection, {"started": process.pid, "error_text": process.error})
    wire.send(connection, {"exit": _follow(connection, process)})


def _follow(connection: socket.socket, process: Process) -> int:
    """Wait for PROCESS, passing on the client's signals; kill it when the client is gone."""
    if process.finished():
        return process.wait()
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    poller.register(process, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if process.fileno() in ready:
            return process.wait()
        try:
            message, descriptors = wire.receive(connection)
        except (wire.Closed, OSError):
            process.send_signal(signal.SIGHUP)
            process.kill()
            process.wait()
            raise
        wire.close_all(descriptors)
        process.send_signal(int(message["signal"]))
