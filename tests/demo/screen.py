"""What the demo shows: headings, and commands at a prompt with what they print.

Runs on a developer's host. Knows the lab's client, and of the product one file.
"""

import sys
import time

from lab import Lab

READY = "/home/user/.local/share/qubes-borg/pending.json"  # a first login waits for its password
LONGEST = 900  # seconds that one command may take on a slow machine


class DemoFailed(Exception):
    """A command did not do what the story says it does."""

    hint = "make test shows whether it is this machine; else please report it with the text above"


class Screen:
    """One lab and what a person sees of it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._began = time.monotonic()

    def heading(self, text: str) -> None:
        """Print what comes next, and how long the demo has run."""
        print(f"\n=== {text}  ({time.monotonic() - self._began:.0f} s)\n", flush=True)

    def dom0(self, command: str, code: int = 0) -> str:
        """Run a shell command in dom0; answers what it printed. Raises DemoFailed."""
        return self._typed("[user@dom0 ~]$", "dom0", command, code)

    def qube(self, name: str, command: str) -> str:
        """Run a shell command in a qube as its user; answers what it printed. Raises DemoFailed."""
        return self._typed(f"user@{name}:~$", name, command, 0)

    def two(self, command: str, waits: str, name: str, other: str, asks: str, typed: str) -> None:
        """Run a command in dom0 that waits for what is typed in a qube, and show both.

        `waits` begins the line with which it waits; there OTHER is run in the qube NAME at a
        terminal, and TYPED is answered to the question that begins with ASKS.
        """
        print(f"[user@dom0 ~]$ {command}", flush=True)
        with self._lab.popen("dom0", ["sh", "-c", f"exec 2>&1\n{command}"], input=False) as process:
            for raw in process.stdout:
                sys.stdout.write(raw.decode("utf-8", "replace"))
                sys.stdout.flush()
                if raw.startswith(waits.encode()):
                    self._answers(name, other, asks, typed)
            if process.wait(LONGEST) != 0:
                raise DemoFailed(f"`{command}` failed")

    def _answers(self, name: str, command: str, asks: str, typed: str) -> None:
        print(f"\nuser@{name}:~$ {command}", flush=True)
        terminal = ["script", "-qec", command, "/dev/null"]
        deadline = time.monotonic() + LONGEST
        # The service in that qube has to be there before anything can be typed for it.
        while self._lab.exec(name, ["test", "-e", READY]).returncode != 0:
            if time.monotonic() > deadline:
                raise DemoFailed(f"nothing in {name} waits for `{command}`")
            time.sleep(0.1)
        with self._lab.popen(name, terminal) as process:
            shown = b""
            while not (asks.encode() in shown and shown.endswith(b": ")):
                if not (byte := process.stdout.read(1)):
                    raise DemoFailed(f"`{command}` asked nothing")
                shown += byte
            print(shown.decode(), end="(you type it; it is not shown)\n", flush=True)
            said, _errors = process.communicate(f"{typed}\n".encode(), LONGEST)
        print(said.decode().strip().replace("\r", ""), end="\n\n", flush=True)
        if process.returncode != 0:
            raise DemoFailed(f"`{command}` failed")

    def _typed(self, prompt: str, qube: str, command: str, code: int) -> str:
        print(f"{prompt} {command}", flush=True)
        shown = []
        # One stream, so that errors stand where a person sees them.
        merged = ["sh", "-c", f"exec 2>&1\n{command}"]
        with self._lab.popen(qube, merged, input=False) as process:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace")
                shown.append(line)
                sys.stdout.write(line)
                sys.stdout.flush()
            found = process.wait(LONGEST)
        if found != code:
            raise DemoFailed(f"`{command}` ended with {found}, not {code}")
        return "".join(shown)
