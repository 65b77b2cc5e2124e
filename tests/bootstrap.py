#!/usr/bin/python3
"""What the targets of make that run something need on this machine; asks before it installs.

Runs on a developer's host with nothing but Python. YES=1 answers the question. Without a terminal
and without YES=1 it prints what it would run, changes nothing and exits 3.
"""

import argparse
import hashlib
import os
import pwd
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from needed import GOALS, Goal, Package

HERE = Path(__file__).resolve().parent.parent
VENV = HERE / ".venv"
REQUIREMENTS = HERE / "requirements-dev.txt"
DECLINED = 3
PIP = (".venv/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
       "--no-deps")
# Beside Debian 13's own 1.9.14: what Fedora has, and the newest. The rest they need is Debian's.
BORGMATICS = ("2.0.13", "2.1.10")
PSUTIL = "psutil==7.2.2"
SALT = "tests/salt/requirements.txt"


class NotReady(Exception):
    """The machine is not ready: one line what, one line what to do, and the exit code."""

    def __init__(self, message: str, hint: str, code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


@dataclass(frozen=True)
class Step:
    """One thing that is missing and the commands that mend it; root ones are run by sudo."""

    title: str
    commands: tuple[tuple[str, ...], ...]
    root: bool = False


def venv_stamp() -> str:
    """Answer what the file `ready` in a finished .venv holds: which Python and requirements."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{sys.version_info.major}.{sys.version_info.minor} {digest}\n"


def venv_ready() -> bool:
    """Answer whether .venv was finished for these requirements and this Python."""
    try:
        return (VENV / "ready").read_text(encoding="ascii") == venv_stamp()
    except FileNotFoundError:
        return False


def package_step(packages: Sequence[Package]) -> Step | None:
    """Answer how the missing Debian packages come, None if there is none."""
    names = [package.name for package in packages if not package.present()]
    if not names:
        return None
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet")
    install = (*apt, "install", "--yes", "--no-install-recommends", *names)
    return Step(f"Debian packages: {' '.join(names)}", ((*apt, "update"), install), root=True)


def venv_step() -> Step | None:
    """Answer how .venv is made, None if it is ready."""
    if venv_ready():
        return None
    return Step(
        "Python packages of requirements-dev.txt, in .venv",
        (
            ("/usr/bin/python3", "-m", "venv", "--clear", ".venv"),
            (*PIP, "--requirement", "requirements-dev.txt"),
        ),
    )


def borgmatic_step() -> Step | None:
    """Answer how they come, None if they are there; making .venv anew takes them away."""
    missed = [version for version in BORGMATICS if not venv_ready() or not
              (VENV / "borgmatic" / version / f"borgmatic-{version}.dist-info").is_dir()]
    if not missed:
        return None
    commands = tuple(
        (*PIP, "--upgrade", "--target", f".venv/borgmatic/{version}", f"borgmatic=={version}",
         PSUTIL)
        for version in missed
    )
    return Step(f"borgmatic {' and '.join(missed)}, in .venv/borgmatic", commands)


def salt_step() -> Step | None:
    """Answer how Salt comes, in an environment of its own, None if it is there."""
    wanted, had = HERE / SALT, VENV / "salt/requirements.txt"
    if venv_ready() and had.is_file() and had.read_bytes() == wanted.read_bytes():
        return None
    make = ("/usr/bin/python3", "-m", "venv", "--clear", ".venv/salt")
    fill = (".venv/salt/bin/python", *PIP[1:], "--requirement", SALT)
    return Step("Salt, in .venv/salt", (make, fill, ("cp", SALT, ".venv/salt/requirements.txt")))


def ids_step() -> Step | None:
    """Answer how a user gets the ids that the lab's user namespace needs; root needs none."""
    from lab import ns

    try:
        for path in ("/etc/subuid", "/etc/subgid"):
            ns.subordinate_start(path)
        return None
    except ns.NamespaceError:
        user = pwd.getpwuid(os.getuid()).pw_name
    ids = ("--add-subuids", "231072-296607", "--add-subgids", "231072-296607")
    title = f"a range of ids for {user}, so that the lab needs no root"
    touch = ("touch", "/etc/subuid", "/etc/subgid")
    return Step(title, (touch, ("usermod", *ids, user)), root=True)


def template_step() -> Step | None:
    """Answer how the lab's Debian tree is built, None if it is there."""
    from lab import template

    tree = template.tree_path()
    if tree.is_dir():
        return None
    build = "from lab import template; template.ensure()"
    title = f"the lab's Debian 13 template, built once in {tree.parent} (about 400 MB)"
    return Step(title, (("env", "PYTHONPATH=tests", "/usr/bin/python3", "-c", build),))


def missing(goal: Goal) -> list[Step]:
    """Answer the steps that this machine needs for a goal, in their order."""
    steps = [package_step(goal.packages)]
    if goal.venv:
        steps.append(venv_step())
    if goal.lab:
        steps += [ids_step(), template_step()]
    if goal.lab and goal.venv:
        steps += [borgmatic_step(), salt_step()]
    return [step for step in steps if step is not None]


def command_lines(steps: Sequence[Step], prefix: Sequence[str]) -> list[tuple[str, ...]]:
    """Answer every command as it will run, those for root behind the prefix."""
    return [
        (*prefix, *command) if step.root else command
        for step in steps
        for command in step.commands
    ]


def root_prefix() -> tuple[str, ...]:
    """Answer what makes a command root's: nothing for root, else sudo."""
    return () if os.geteuid() == 0 else ("sudo",)


def agreed(environment: Mapping[str, str], goal_name: str) -> None:
    """Return if the person agrees; raises NotReady (exit code 3) if not or if there is none."""
    if environment.get("YES") == "1":
        return
    again = f"run the commands above yourself, or: YES=1 make {goal_name}"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotReady("there is no terminal to ask on; nothing was changed", again, DECLINED)
    print("Run these commands now? [y/N] ", end="", flush=True)
    try:
        answer = input()
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise NotReady("not agreed; nothing was changed", again, DECLINED)


def run(command: Sequence[str]) -> None:
    """Run one command in the repository's folder; raises NotReady if it fails."""
    print(f"$ {shlex.join(command)}", flush=True)
    try:
        subprocess.run(list(command), check=True, cwd=HERE, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        hint = f"as root: {shlex.join(command[1:])}"
        raise NotReady(f"there is no {command[0]} on this machine", hint, DECLINED) from error
    except subprocess.CalledProcessError as error:
        hint = "what it said stands above; mend that and run make again"
        raise NotReady(f"`{shlex.join(command)}` failed", hint) from error


def prepare(goal_name: str) -> None:
    """Bring the machine to where `make GOAL` can run; raises NotReady."""
    steps = missing(GOALS[goal_name])
    if not steps:
        print(f"make {goal_name}: nothing to install")
        return
    commands = command_lines(steps, root_prefix())
    print(f"make {goal_name} needs what is missing here:")
    print(*(f"  - {step.title}" for step in steps), sep="\n")
    print("These commands bring it:")
    print(*(f"  {shlex.join(command)}" for command in commands), sep="\n", flush=True)
    agreed(os.environ, goal_name)
    for command in commands:
        run(command)
    if GOALS[goal_name].venv:
        (VENV / "ready").write_text(venv_stamp(), encoding="ascii")


def main(arguments: Sequence[str]) -> int:
    """Run for one goal; answers the exit code."""
    parser = argparse.ArgumentParser(description="Install what a make target needs.")
    parser.add_argument("goal", choices=sorted(GOALS))
    options = parser.parse_args(arguments)
    try:
        prepare(options.goal)
    except NotReady as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("\nerror: interrupted\nhint: run make again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
