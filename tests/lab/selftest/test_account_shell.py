"""The account's login shell, as the program that sshd runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SHELL = Path(__file__).resolve().parents[1] / "account_shell.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SHELL), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_an_offered_command_runs_and_gives_its_own_status(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()

    assert _run("-c", f"ls '{tmp_path}'").stdout == "a b\n"
    assert _run("-c", f"ls {tmp_path}/none").returncode == 2


@pytest.mark.parametrize(
    "line",
    [
        "bash -c id", "/bin/ls", "./ls", "../bin/sh", "id", "python3", "", "true",
        "ls; ls", "ls && ls", "ls || ls", "ls | cat", "ls > x", "cat < x", "ls & ls", "ls\nls",
        "ls $HOME", "ls `ls`", "ls $(ls)", "(ls)", "ls 'open",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_126(line: str) -> None:
    done = _run("-c", line)

    assert done.returncode == 126
    assert done.stderr.startswith("refused: ")
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("-l",), ("-c",), ("-c", "ls", "x")])
def test_there_is_no_interactive_login(arguments: tuple[str, ...]) -> None:
    assert _run(*arguments).returncode == 126
