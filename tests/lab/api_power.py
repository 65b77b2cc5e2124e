"""Calls that change or tell the power state of a qube.

Runs in the supervisor, behind `qubesd`; the rules are in `power`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab import properties
from lab.api_call import Call, Method
from lab.api_errors import Refused

KIB_IN_MIB = 1024


def start(call: Call) -> str:
    """Start the qube; return when it answers."""
    call.system.power.start(call.target)
    return ""


def shutdown(call: Call) -> str:
    """Stop the qube in order; the argument may say `force`, `wait` or both, joined by `+`."""
    words = call.untrusted_argument.split("+") if call.untrusted_argument else []
    if not set(words) <= {"force", "wait"} or call.target.klass == "AdminVM":
        raise Refused
    call.system.power.shutdown(call.target, "force" in words, "wait" in words)
    return ""


def kill(call: Call) -> str:
    """Stop the qube at once."""
    call.system.power.kill(call.target)
    return ""


def pause(call: Call) -> str:
    """Stop its processes where they are."""
    call.system.power.pause(call.target)
    return ""


def unpause(call: Call) -> str:
    """Let them go on."""
    call.system.power.unpause(call.target)
    return ""


def current_state(call: Call) -> str:
    """Return key=value pairs on one line; memory in KiB, as configured, not as used."""
    qube = call.target
    memory = properties.get(call.store, qube, "memory")
    kib = int(str(memory or 4096)) * KIB_IN_MIB
    used = kib if qube.is_running() else 0
    return f"mem={used} mem_static_max={kib} cputime=0 power_state={qube.state}"


METHODS: Mapping[str, Method] = {
    "admin.vm.Start": Method(start),
    "admin.vm.Shutdown": Method(shutdown, argument=True),
    "admin.vm.Kill": Method(kill),
    "admin.vm.Pause": Method(pause),
    "admin.vm.Unpause": Method(unpause),
    "admin.vm.CurrentState": Method(current_state),
}
