"""What the commands that a person types by hand come to."""

import shlex
import subprocess
from collections.abc import Iterable


def ssh_of_borg(steps: Iterable[str]) -> list[str]:
    """Answer the words of BORG_RSH, as borg splits it, once a shell has run what sets it."""
    lines = [line.strip() for line in steps if "BORG_RSH=" in line]
    script = "\n".join((*lines, 'printf %s "$BORG_RSH"'))
    done = subprocess.run(["/bin/sh", "-euc", script], check=True, capture_output=True, text=True)
    assert "\n" not in done.stdout, "a line's end would stand for the host"
    return shlex.split(done.stdout)


def is_ssh_with(words: list[str], key: str) -> None:
    """Assert that there is no host in it, and that key and host key are the ones lying there."""
    # A word of its own that is not an option would be the host.
    assert words[0] == "ssh" and all(
        word[0] == "-" or words[number][0] == "-" for number, word in enumerate(words[1:]))
    assert words[1:] == [
        "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=known_hosts",
        "-o", "StrictHostKeyChecking=yes"]
