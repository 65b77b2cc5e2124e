"""Jobs that need a process of their own, most of them as root of the user namespace.

Runs on the host as `python -I -c … JOB WORD…`, started by the functions here. A process of its
own, because the caller may have threads and must not change its own namespaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from . import ns

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 1800


def command(module: str, function: str, *words: str) -> list[str]:
    """Return the command that calls lab.MODULE.FUNCTION(*WORDS) in a new interpreter."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        f" from lab.{module} import {function}; sys.exit({function}(*sys.argv[2:]))"
    )
    return [sys.executable, "-I", "-c", code, str(TESTS), *words]


def call(job: str, *words: str) -> int:
    """Do a job of `main` and return its exit status; what it says goes to our stderr."""
    argv = command("inside", "main", job, *words)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=2, check=False, timeout=SECONDS)
    return done.returncode


def output(job: str, *words: str) -> str:
    """Do a job of `main` and return what it prints."""
    done = subprocess.run(
        command("inside", "main", job, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        check=False, timeout=SECONDS, text=True,
    )  # fmt: skip
    return done.stdout.rstrip("\n")


def main(job: str, *words: str) -> int:
    """Be the new process: build TREE PROGRAM, remove DIRECTORY, or try."""
    from . import probe, template

    ns.die_with_parent()
    if job == "try":
        print(probe.try_each())
        return 0
    try:
        ns.enter_user_namespace()
        # Once more: a change of ids forgets it.
        ns.die_with_parent()
        if job == "remove":
            shutil.rmtree(words[0], ignore_errors=True)
            return 0
        return _in_pid_namespace(template.run_mmdebstrap, Path(words[0]), words[1])
    except (OSError, ns.NamespaceError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _in_pid_namespace(work: Callable[[Path, str], int], tree: Path, program: str) -> int:
    """Call WORK as PID 1 of new namespaces, so that it leaves no process and no mount."""
    ns.unshare(ns.CLONE_NEWNS | ns.CLONE_NEWPID)
    ns.make_mounts_private()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ns.die_with_parent()
            ns.mount("proc", "/proc", "proc", ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC)
            status = work(tree, program)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
