"""The frame of a conversation: who may begin it, and that nothing of ours gets into it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qborg_service.stream import stream
from qborg_wire.row import Role

ROOT = Path(__file__).parents[3]
SCRIPT = """
import os, sys
sys.path[:0] = {paths!r}
from qborg_service import qubesdb, stream
from qborg_service.failure import ServiceFailure
from qborg_wire.row import Role
qubesdb.role_is_on = lambda role: role == {role!r}
def converse(caller, repository):
    {body}
sys.exit(stream.stream("ServeRepository", Role.MAINTENANCE, converse)())
"""
SAYS = "os.write(1, f'{caller} {repository}'.encode()); return 7"


def _run(
    tmp_path: Path, caller: str, argument: str, role: str = "maintenance", body: str = SAYS
) -> subprocess.CompletedProcess[bytes]:
    path = tmp_path / "service"
    paths = [str(ROOT / "dom0"), str(ROOT / "vm-services")]
    path.write_text(SCRIPT.format(paths=paths, role=role, body=body), encoding="ascii")
    environment = {"QREXEC_REMOTE_DOMAIN": caller, "QREXEC_SERVICE_ARGUMENT": argument,
                   "PATH": os.environ["PATH"]}  # fmt: skip
    return subprocess.run([sys.executable, "-I", str(path)], env=environment, check=False,
                          capture_output=True, timeout=60)  # fmt: skip


def test_a_qube_and_a_repository_begin_it_and_the_code_is_the_programs(tmp_path: Path) -> None:
    done = _run(tmp_path, "borg-worker", "qubes-work")

    assert (done.returncode, done.stdout, done.stderr) == (7, b"borg-worker qubes-work", b"")


REFUSED = {
    "dom0": ("dom0", "qubes-work", "maintenance", b"bad-request"),
    "no-caller": ("", "qubes-work", "maintenance", b"bad-request"),
    "strange-caller": ("a;b", "qubes-work", "maintenance", b"bad-request"),
    "no-repository": ("work", "", "maintenance", b"bad-request"),
    "climbing": ("work", "../work", "maintenance", b"bad-request"),
    "not-this-role": ("work", "qubes-work", "client", b"not-this-role"),
}


@pytest.mark.parametrize(("caller", "argument", "role", "cause"), REFUSED.values(), ids=REFUSED)
def test_a_call_out_of_place_is_one_line_on_stderr(
    tmp_path: Path, caller: str, argument: str, role: str, cause: bytes
) -> None:
    done = _run(tmp_path, caller, argument, role)

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1 and cause in done.stderr


def test_a_failure_of_ours_shows_only_printable_text(tmp_path: Path) -> None:
    done = _run(tmp_path, "work", "qubes-work",
                body="raise ServiceFailure('wrong-caller', 'x' + chr(27) + '[2J')")  # fmt: skip

    assert done.returncode == 1 and b"\x1b" not in done.stderr


def test_a_row_that_is_no_conversation_has_no_such_frame() -> None:
    with pytest.raises(ValueError, match="no conversation"):
        stream("PublishKeys", Role.MAINTENANCE, lambda _caller, _repository: 0)
