"""The lab's network: a router that stands for everything behind the netvms.

Runs in the supervisor, in the lab's own network namespace; the host's network is never touched.
Each machine has its own point-to-point cable, as on Xen, since all qubes have one MAC address.
The router forwards between a qube and the outside world only. Knows pids, not qubes.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import MachineError

OUTSIDE = "outside0"
_TABLE = 100
_CUT = 400
_SECONDS = 30
_SYSCTL = Path("/proc/sys/net/ipv4")


@dataclass
class _Port:
    """The lab's end of a cable: carries only if plugged in and its netvms run."""

    address: str
    carries: bool = True
    cut: bool = False
    up: bool = True


class Network:
    """The router and its cables."""

    def __init__(self, ip_program: str) -> None:
        self._ip = ip_program
        self._numbers = itertools.count(1)
        self._ports: dict[str, _Port] = {}

    def make_router(self) -> None:
        """Let this process's network namespace forward, but never from qube to qube."""
        (_SYSCTL / "ip_forward").write_text("1", encoding="ascii")
        for name in ("all", "default"):
            (_SYSCTL / f"conf/{name}/rp_filter").write_text("0", encoding="ascii")
        self._batch([
            "link set lo up",
            f"rule add pref 500 iif {OUTSIDE} lookup main",
            f"rule add pref 600 not iif {OUTSIDE} lookup {_TABLE}",
            f"route add unreachable default table {_TABLE}",
        ])  # fmt: skip

    def attach(self, pid: int, mac: str, address: str, *, outside: bool = False) -> str:
        """Give the namespace of PID an eth0 with MAC; return the name of the cable.

        ADDRESS is its only one. OUTSIDE: the machine that all the others may reach.
        """
        name = OUTSIDE if outside else f"vif{next(self._numbers)}"
        self._batch([f"link add {name} type veth peer name eth0 address {mac} netns {pid}"])
        (_SYSCTL / f"conf/{name}/proxy_arp").write_text("1", encoding="ascii")
        lines = [
            # An ARP answer on another's behalf waits up to 0.8 s by default.
            f"ntable change name arp_cache dev {name} proxy_delay 0",
            f"link set {name} up",
            f"route replace {address}/32 dev {name}",
        ]
        if outside:
            lines.append(f"route replace {address}/32 dev {name} table {_TABLE}")
        self._batch(lines)
        self._ports[name] = _Port(address)
        return name

    def detach(self, name: str) -> None:
        """Drop a cable whose machine is gone."""
        port = self._ports.pop(name)
        lines = [f"link del {name}"]
        if not port.up:
            lines += [f"rule del pref {_CUT} iif {name}", f"route del blackhole {port.address}"]
        for line in lines:
            # The kernel removes the device with the machine's namespace, but later.
            with contextlib.suppress(MachineError):
                self._batch([line])

    def carry(self, name: str, carries: bool) -> None:
        """Say whether the netvms behind cable NAME run."""
        self._ports[name].carries = carries
        self._apply(name)

    def cut(self, name: str, cut: bool) -> None:
        """Pull cable NAME out, or plug it in again; packets vanish without an error."""
        self._ports[name].cut = cut
        self._apply(name)

    def _apply(self, name: str) -> None:
        """Let cable NAME carry, or swallow everything both ways, as its state says."""
        port = self._ports[name]
        up = port.carries and not port.cut
        if up == port.up:
            return
        # Not by taking the link down: the kernel takes up to a second to see it come back.
        if up:
            lines = [f"rule del pref {_CUT} iif {name}",
                     f"route replace {port.address}/32 dev {name}"]  # fmt: skip
        else:
            lines = [f"rule add pref {_CUT} iif {name} blackhole",
                     f"route replace blackhole {port.address}/32"]  # fmt: skip
        self._batch(lines)
        port.up = up

    def _batch(self, lines: list[str]) -> None:
        """Give LINES to one ip process; MachineError with its words when it fails."""
        done = subprocess.run(
            [self._ip, "-batch", "-"], input="\n".join(lines).encode() + b"\n",
            capture_output=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            raise MachineError(done.stderr.decode("utf-8", "replace").strip())
