"""The living session: what a server does at its beginning, none of which holds anybody for ever."""

import time
from pathlib import Path

import pytest

from qborg_maintenance import server
from qborg_maintenance.server import Server, living_session
from qborg_service.failure import ServiceFailure

# What stands for ssh does, by what the account is; then the cause.
BEGINS = {
    "silent": ("shell", "sleep 60", "server-unreachable"),
    "sftp-silent": ("sftp", "sleep 60", "server-unreachable"),
    "half-a-greeting": ("shell", "printf qubes; sleep 60", "server-unreachable"),
    "half-a-version": ("sftp", "printf '\\0\\0\\0\\5\\2'; sleep 60", "server-unreachable"),
    "no-end": ("shell", "exec 1>&-; sleep 60", "server-unreachable"),
    "ends": ("shell", "exit 1", "access-changed"),
    "half-and-ends": ("shell", "printf qubes; exit 1", "access-changed"),
    "refuses": ("shell", "echo 'Permission denied (publickey).' >&2; exit 255", "login-refused"),
    "words": ("shell", "echo hello; sleep 60", "connection-failed"),
    "sftp-words": ("sftp", "echo hello there; sleep 60", "connection-failed"),
    "greets": ("shell", "read -r line; echo $line; cat", ""),
    "greets-slowly": ("shell", "printf qubes; sleep 0.1; echo -borg; cat", ""),
    "sftp": ("sftp", "printf '\\0\\0\\0\\5\\2\\0\\0\\0\\3'; cat", ""),
}


@pytest.mark.parametrize(("access", "script", "cause"), BEGINS.values(), ids=BEGINS)
def test_a_session_begins_or_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: str, script: str, cause: str
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    ssh.chmod(0o700)
    monkeypatch.setattr(server, "SSH", str(ssh))
    monkeypatch.setattr(server, "_SECONDS", 2.0)
    found, begun = "", time.monotonic()

    try:
        with living_session(Server(tmp_path / "config", tmp_path / "socket", access)):
            pass
    except ServiceFailure as failure:
        found = failure.cause

    assert found == cause and time.monotonic() - begun < 30
