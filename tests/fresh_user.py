#!/usr/bin/python3
"""Runs a part of the tests as a user that was made for it, in a clone made for that user.

Needs root, to make the user; what it runs has none. The user and all of its files are removed.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
# The lab's own tests; one set-up, enrolment and restore.
PARTS = ("FAST=", "SLOW=tests/lab/selftest tests/scenarios/test_main_job.py")
# What is root's own; the rest may say how this machine reaches its package registries.
ROOTS_OWN = ("HOME", "LOGNAME", "MAIL", "PWD", "SHELL", "SUDO_", "USER", "VIRTUAL_ENV", "XDG_")


@contextmanager
def made() -> Iterator[pwd.struct_passwd]:
    """Make a user with a home and a range of subordinate ids; remove it whatever happened."""
    name = f"qborg-test-{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["pkill", "-KILL", "-u", name], check=False)
        # It says that there is no mail to remove.
        subprocess.run(["userdel", "--remove", "--force", name], check=True,
                       stderr=subprocess.DEVNULL)  # fmt: skip


def clone(user: pwd.struct_passwd) -> Path:
    """Answer the user's own clone of what is committed here."""
    target = Path(user.pw_dir) / "qubes-borg"
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-hardlinks",
                    str(HERE), str(target)], check=True)  # fmt: skip
    subprocess.run(["chown", "--recursive", f"{user.pw_uid}:{user.pw_gid}", target], check=True)
    return target


def main() -> int:
    """Run the part as a fresh user; answers make's exit code."""
    if os.geteuid() != 0:
        print("error: a user can only be made by root\nhint: sudo make test-user", file=sys.stderr)
        return 1
    with made() as user:
        target = clone(user)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(ROOTS_OWN)}
        environment |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name,
                        "YES": "1"}  # fmt: skip
        print(f"make test {' '.join(PARTS)} as {user.pw_name}, uid {user.pw_uid}", flush=True)
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
        command = [*become, "--init-groups", "make", "test", *PARTS]
        return subprocess.run(command, cwd=target, env=environment,
                              stdin=subprocess.DEVNULL).returncode  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
