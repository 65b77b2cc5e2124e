"""A service in a script of its own, run as qrexec would run it: real pipes, its environment.

The row is DescribeClient, which answers before a role is switched on, so that no QubesDB is
needed; where another trait of a row is tested, the script gives it that trait.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qborg_wire.reply import Failure, parse_reply
from qborg_wire.row import Service
from qborg_wire.services import SERVICES

ROOT = Path(__file__).parents[3]
NONCE = "0123456789abcdef" * 2
REQUEST = {"nonce": NONCE, "host": "backup.example", "port": "22"}
ROW = SERVICES["DescribeClient"]
SCRIPT = """
import dataclasses, os, subprocess, sys, time
sys.path[:0] = {paths!r}
from qborg_service.entry import service
from qborg_service.failure import ServiceFailure
from qborg_wire.reply import Progress
from qborg_wire.services import SERVICES, Role
SERVICES[{name!r}] = dataclasses.replace(SERVICES[{name!r}], **{traits!r})
GOOD = dict(
    qube="work", borg="1.4.0", borgmatic="none", cron="running", server="reachable",
    host_key="none", repository="none", bundle="none", endpoint="none", last_success="0",
    last_outcome="never",
)
def handler(call):
    {body}
sys.exit(service({name!r}, Role.CLIENT, handler)())
"""


def script(tmp_path: Path, body: str, name: str = ROW.name, **traits: object) -> list[str]:
    """Write a service whose handler has this body; answer how to start it."""
    paths = [str(ROOT / "dom0"), str(ROOT / "vm-services")]
    path = tmp_path / "service"
    text = SCRIPT.format(paths=paths, name=name, traits=traits, body=body)
    path.write_text(text, encoding="utf-8")
    return [sys.executable, "-I", str(path)]


def environment(caller: str = "dom0", argument: str | None = "") -> Mapping[str, str]:
    """Answer what qrexec sets; `argument` None leaves it out."""
    given = {} if argument is None else {"QREXEC_SERVICE_ARGUMENT": argument}
    return {"QREXEC_REMOTE_DOMAIN": caller, "PATH": os.environ["PATH"], **given}


def run(
    argv: list[str], request: bytes, caller: str = "dom0", argument: str | None = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run one call to its end."""
    return subprocess.run(
        argv, input=request, env=environment(caller, argument), capture_output=True,
        timeout=60, check=False,
    )


def encoded(**changes: object) -> bytes:
    """Answer a good request with some values changed."""
    return json.dumps({**REQUEST, **changes}).encode()


@dataclass(frozen=True)
class Started:
    """A call by dom0 that the test itself feeds."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]


@contextmanager
def started(argv: list[str]) -> Iterator[Started]:
    """Start a call; wait for its end when the block is left."""
    child = subprocess.Popen(
        argv, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdin is not None and child.stdout is not None
    with child:
        yield Started(child, child.stdin, child.stdout)


def failure(payload: bytes, nonce: str = NONCE) -> Failure:
    """Answer the failure that a reply must be."""
    answer = parse_reply(ROW, nonce, payload)
    assert isinstance(answer, Failure)
    return answer


def success(payload: bytes, row: Service = ROW, nonce: str = NONCE) -> dict[str, str]:
    """Answer the values of a reply that must be a success."""
    answer = parse_reply(row, nonce, payload)
    assert isinstance(answer, dict)
    return answer
