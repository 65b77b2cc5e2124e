"""The vault's commands as processes of their own, of a user whose home is a directory of the test.

A process can be killed before any step that leaves something on the disk or runs a program.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from keepassxc import databases
from qborg_vault.store import Vault

ROOT = Path(__file__).parents[2]
# The home comes from the system's list of users, and not from the environment.
_SCRIPT = """
import os, pwd, resource, signal, sys, types
sys.path[:0] = {paths!r}
pwd.getpwuid = lambda _uid: types.SimpleNamespace(pw_dir={home!r})
steps = {{"subprocess.Popen", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "open"}}
left = {left!r}
def look(event, arguments):
    global left
    where = str(arguments[0]) if arguments else ""
    if event in steps and (event == "subprocess.Popen" or {home!r} in where):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
from qborg_vault import keepass
keepass.PROGRAM = {program!r}
from qborg_vault.tools.{tool} import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({most!r}, resource.RLIM_INFINITY))
sys.addaudithook(look)
sys.exit(main())
"""


def vault(home: Path) -> Vault:
    """Answer the vault that the commands find in that home."""
    return Vault(home / ".local" / "share" / "qubes-borg" / "records")


def run(
    home: Path, tool: str, *words: object, typed: bytes = databases.MASTER.encode() + b"\n",
    killed: int = 0, program: str = "/usr/bin/keepassxc-cli", most: int = -1,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """Run a command, the master password on stdin; `killed`: before which of its steps.

    `most`: as many bytes fit into a file, -1: any number. With --kit there is no password.
    """
    argv = _argv(home, tool, *words, left=killed, program=program, most=most)
    argv += [] if "--kit" in words else ["--password-fd", "0"]
    done = subprocess.run(
        argv, input=typed, capture_output=True, check=False, cwd=home,
        env={"PATH": os.environ["PATH"]}, timeout=120,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert b"Traceback" not in said, said.decode()
    assert typed.strip() == b"" or typed.strip() not in said
    assert done.returncode != -signal.SIGKILL or killed
    return done


def start_at(
    terminal: int, home: Path, tool: str, *words: object
) -> subprocess.Popen[bytes]:
    """Start a command on a terminal that is its own, where its password is typed."""
    argv = _argv(home, tool, *words, left=0, program="/usr/bin/keepassxc-cli", most=-1)
    return subprocess.Popen(["/usr/bin/setsid", "--ctty", "--wait", *argv], stdin=terminal,
                            stdout=terminal, stderr=terminal, cwd=home,
                            env={"PATH": os.environ["PATH"]})  # fmt: skip


def _argv(home: Path, tool: str, *words: object, **traits: object) -> list[str]:
    paths = [str(ROOT / "dom0"), str(ROOT / "vm-services")]
    script = _SCRIPT.format(paths=paths, home=str(home), tool=tool, **traits)
    return [sys.executable, "-I", "-c", script, *(str(word) for word in words)]


def refused(done: subprocess.CompletedProcess[bytes]) -> str:
    """Answer the error of a command that must have ended with one error and one hint."""
    said = done.stderr.decode()
    assert done.returncode == 1, said
    error, hint, end = said.split("\n")
    assert error.startswith("error: ") and hint.startswith("hint: ") and end == ""
    return said
