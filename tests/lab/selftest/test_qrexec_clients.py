"""The command lines of qrexec's two clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.selftest.calls import Calls

ECHO = "#!/bin/sh\nexec cat\n"
OPEN = "* * * * allow\n"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-E", "-d", "work"], 0),
        (["--no-exit-code", "-dwork"], 0),
        (["-eW", "-d", "work"], 0),
        (["-tT", "-w5", "-d", "work"], 6),
        (["-d", "work", "-p", "x"], 0),
        (["-l", "cat", "-d", "work"], 1),
        (["-w", "soon", "-d", "work"], 1),
        ([], 1),
    ],
)
def test_options_of_qrexec_client(calls: Calls, options: list[str], code: int) -> None:
    """What is not known ends with 0 and the usage, as the genuine one does."""
    calls.service("work", "t.Say", "#!/bin/sh\nexit 6\n")

    assert calls.run_client(*options, "DEFAULT:QUBESRPC t.Say+ dom0").returncode == code


@pytest.mark.parametrize(
    "command",
    ["no colon", "u:QUBESRPC", "u:QUBESRPC t.Say+", "u:QUBESRPC  dom0", "u:QUBESRPC + dom0"],
)
def test_bad_command_is_a_problem(calls: Calls, command: str) -> None:
    """125 from the agent."""
    assert calls.run_client("-d", "work", command).returncode == 125


def test_filtering_of_output(calls: Calls) -> None:
    """-t is for stdout, -T for stderr."""
    calls.service("work", "t.Say", "#!/bin/sh\nprintf 'a\\033\\377\\n'\nprintf 'b\\033\\n' >&2\n")

    done = calls.run_client("-t", "-T", "-d", "work", "DEFAULT:QUBESRPC t.Say+ dom0")

    assert (done.stdout, done.stderr) == (b"a__\n", b"b_\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--prefix-data=ab", "work", "t.Cat"], 0),
        (["-p", "ab", "work", "t.Cat"], 0),
        (["--buffer", "4096", "--no-filter-escape-chars-stdout", "work", "t.Cat"], 0),
        (["work"], 2),
        (["--unknown", "work", "t.Cat"], 2),
        (["--use-stdin-socket", "work", "t.Cat"], 2),
        (["--source-qube=x", "work", "t.Cat"], 126),
        (["$anyvm", "t.Cat"], 126),
    ],
)
def test_options_of_qrexec_client_vm(calls: Calls, words: list[str], code: int) -> None:
    """Data before the input come first; wrong calls end with 2."""
    calls.service("work", "t.Cat", ECHO)
    calls.policy("t.Cat * vault work allow\n")

    done = calls.run_client_vm("vault", *words, data=b"cd")

    assert done.returncode == code
    if code == 0:
        assert done.stdout in (b"abcd", b"cd")


@pytest.mark.parametrize(
    ("remote", "local", "code"), [(5, 9, 5), (0, 9, 9), (0, 0, 0)]
)
def test_local_program(calls: Calls, tmp_path: Path, remote: int, local: int, code: int) -> None:
    """It talks to the service; its own stdout is at SAVED_FD_1."""
    calls.service("work", "t.Say", f"#!/bin/sh\nread x; echo got $x; exit {remote}\n")
    calls.policy(OPEN)
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/bash\necho "$1"; read -r x; echo "$x" >&"$SAVED_FD_1"; exit {local}\n'
    )
    program.chmod(0o755)

    done = calls.run_client_vm("vault", "work", "t.Say", str(program), "hi")

    assert (done.returncode, done.stdout) == (code, b"got hi\n")
    assert calls.run_client_vm("vault", "work", "t.No", str(program)).returncode == 127
    missing = calls.run_client_vm("vault", "work", "t.Say", "/nonexistent")
    assert missing.returncode == (remote or 255)
