"""What the demo shows: headings, and commands at a prompt with what they print.

Runs on a developer's host. Knows the lab's client, nothing of the product.
"""

import sys
import time

from lab import Lab

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
