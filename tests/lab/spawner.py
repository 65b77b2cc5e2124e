"""Forks the PID 1 of every machine from one small process without threads.

Runs on the host beside the supervisor, forked before its first thread. It knows no request but
"start an agent".
"""

from __future__ import annotations

import os
import signal
import socket

from . import agent, ns, wire
from .process import Spawner


def fork_spawner() -> Spawner:
    """Fork the spawner; the caller must not have threads yet."""
    ours, theirs = wire.pair()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            ours.close()
            ns.die_with_parent()
            _serve(theirs)
            status = 0
        finally:
            os._exit(status)
    theirs.close()
    return Spawner(ours, pid)


def _serve(sock: socket.socket) -> None:
    """Answer requests until the supervisor is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            message, descriptors = wire.receive(sock)
        except wire.Closed:
            return
        control = socket.socket(fileno=descriptors[0])
        try:
            reply: wire.Message = {"pid": _start(sock, message["name"], control, descriptors[1])}
        except OSError as error:
            reply = {"failed": str(error)}
        control.close()
        os.close(descriptors[1])
        wire.send(sock, reply)


def _start(sock: socket.socket, name: str, control: socket.socket, log: int) -> int:
    """Fork an agent through a middle process that makes its namespaces; return its pid.

    The middle process ends at once, so the agent becomes a child of the supervisor, which is
    PID 1 of the lab and reaps it.
    """
    read_end, write_end = os.pipe()
    middle = os.fork()
    if middle == 0:
        sock.close()
        os.close(read_end)
        try:
            ns.unshare(ns.ALL_BUT_USER)
            pid = os.fork()
            if pid == 0:
                os.close(write_end)
                os._exit(agent.main(name, control, log))
            os.write(write_end, str(pid).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as answer:
        text = answer.read()
    os.waitpid(middle, 0)
    if not text:
        raise OSError("no new namespaces")
    return int(text)
