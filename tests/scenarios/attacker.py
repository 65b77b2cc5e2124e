"""What an attacker has: a whole qube, but no dom0; and dom0's gate, opened by hand.

A compromised qube puts its own program before a service of ours (/usr/local survives a restart)
or calls whatever it likes. Nothing here is of the product: a record is built from the files
that lie in the client, as docs/protocol.md describes it.
"""

import hashlib
import json
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import Lab
from lab.client import RunResult
from scenarios import person, state

GATES = "/run/qubes/policy.d"
GATE = f"{GATES}/69-qborg-gate.policy"
SHADOWS = "/usr/local/etc/qubes-rpc"
CALL, EVIL, VICTIM = "qborg.InstallBundle+qubes-work", "borg-maintenance", "work"
KEY = "qubes-work.openssh"
LIAR = Path(__file__).parents[1] / "unit" / "dom0" / "liar.py"

ESC = "\x1b]0;owned\x07\x1b[2J\x1b[31m"
MARK = "OWNED"
NOTICED = 0.6  # seconds; the policy daemon hears of a new file up to half a second late
QUICK = 150.0  # seconds; two on a machine that has nothing else to do, far more on a busy one

Record = dict[str, Any]
Actions = list[list[object]]


def line_of(lab: Lab, call: str, source: str, target: str) -> bytes:
    """Answer the line that opens one CALL (SERVICE+REPOSITORY) from one qube to another."""
    known, (service, _plus, argument) = lab.qubes(), call.partition("+")
    ends = f"uuid:{known[source]['uuid']} uuid:{known[target]['uuid']}"
    return f"{service} +{argument} {ends} allow autostart=no notify=no\n".encode()


def writes(lab: Lab, path: str, content: bytes, qube: str = "dom0", user: str = "user") -> None:
    """Write a file in a machine; one of policy counts when this returns."""
    lab.exec(qube, ["dd", "status=none", f"of={path}"], user=user, input=content, check=True)
    if "/policy.d/" in path:
        time.sleep(NOTICED)


def removes(lab: Lab, path: str, qube: str = "dom0", user: str = "user") -> None:
    """Remove a file in a machine, if it is there."""
    lab.exec(qube, ["rm", "-f", path], user=user, check=True)


@contextmanager
def gate(lab: Lab, call: str, source: str, target: str) -> Iterator[None]:
    """Hold dom0's gate open for one call, exactly as the product does."""
    writes(lab, GATE, line_of(lab, call, source, target))
    try:
        yield
    finally:
        removes(lab, GATE)


def calls(lab: Lab, source: str, target: str, call: str, data: bytes = b"") -> RunResult:
    """Call a service of one qube from another."""
    return lab.exec(source, ["qrexec-client-vm", target, call], input=data, timeout=120)


def record_of(lab: Lab, repository: str = "qubes-work") -> Record:
    """Answer the record of the bundle that lies in the repository's qube."""
    qube, folder = repository.partition("-")[2], "/home/user/.ssh/backups"
    names = lab.exec(qube, ["ls", f"{folder}/"], check=True).stdout.decode().split()
    texts = {name: lab.exec(qube, ["cat", f"{folder}/{name}"], check=True) for name in names}
    return {
        "format": 1, "qube": qube, "repository": repository, "destination": "main",
        "transport": "direct", "files": {name: text.stdout.decode() for name, text in
                                         texts.items()},
    }


def spelled(record: Any) -> bytes:
    """Answer the one spelling of a record."""
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")


def sends(lab: Lab, data: bytes, call: str = CALL) -> tuple[int, str]:
    """Deliver DATA from the maintenance qube through an open gate; answer code and reply."""
    with gate(lab, call, EVIL, VICTIM):
        result = calls(lab, EVIL, VICTIM, call, data)
    return result.returncode, result.stdout.decode()


def reply_to(data: bytes, outcome: str, *rest: str) -> str:
    """Answer the reply to a record; without REST the begin of one that has more."""
    nonce = hashlib.sha256(data).hexdigest()[:32]
    return "".join(f"{line}\n" for line in (f"nonce={nonce}", f"outcome={outcome}", *rest))


def other_pair(lab: Lab) -> tuple[str, str]:
    """Have the evil qube make a key pair of its own: private file, public line."""
    lab.exec(EVIL, ["rm", "-f", "/tmp/k", "/tmp/k.pub"], check=True)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "qubes-work", "-f", "/tmp/k"]
    lab.exec(EVIL, make, check=True)
    both = [lab.exec(EVIL, ["cat", path], check=True) for path in ("/tmp/k", "/tmp/k.pub")]
    return both[0].stdout.decode(), both[1].stdout.decode()


def says(text: str) -> Actions:
    """Answer what a liar does to answer TEXT, in which @NONCE@ stands for the request's nonce."""
    return [["read"], ["write", text]]


def shadows(lab: Lab, service: str, *actions: object, qube: str = VICTIM) -> None:
    """Put a liar before a service of a qube; liar.py knows the ACTIONS."""
    command = shlex.join(["exec", "python3", "-I", f"{SHADOWS}/liar.py", json.dumps(actions)])
    script = f"""mkdir -p {SHADOWS} && cd {SHADOWS} && cat > liar.py && chmod 755 . &&
    printf '#!/bin/sh\\n%s\\n' "$1" > {service} && chmod 755 {service}"""
    install = ["sh", "-c", script, "sh", command]
    lab.exec(qube, install, user="root", input=LIAR.read_bytes(), check=True)


def bends(lab: Lab, service: str, program: str, qube: str = VICTIM) -> None:
    """Put a program before a service of a qube, such as the genuine one with a bend in it."""
    path = f"{SHADOWS}/{service}"
    lab.exec(qube, ["mkdir", "-p", SHADOWS], user="root", check=True)
    writes(lab, path, program.encode(), qube, "root")
    lab.exec(qube, ["chmod", "755", path], user="root", check=True)


def repents(lab: Lab, qube: str = VICTIM) -> None:
    """Take the liars away: the genuine services answer again."""
    lab.exec(qube, ["rm", "-rf", SHADOWS], user="root", check=True)


def is_seen_through(
    lab: Lab, *command: str, code: int, says: str = ": ", seconds: float = QUICK
) -> str:
    """Run a command that must end in CODE with dom0's own words only, and leave nothing behind."""
    start = time.monotonic()
    said = person.is_refused(lab, *command, code=code, says=says)
    assert time.monotonic() - start < seconds
    assert MARK not in said and "owned" not in said.lower()
    assert re.fullmatch(r"[\n\x20-\x7e]*", said)
    assert state.gates(lab) == []
    assert calling(lab) == b""
    return said


def calling(lab: Lab) -> bytes:
    """Answer which processes in dom0 still call a qube: empty when all have ended."""
    look = "grep -alE '^[^ ]*python3.*qrexec-client' /proc/[0-9]*/cmdline 2>/dev/null"
    return lab.exec("dom0", ["sh", "-c", look], user="root").stdout
