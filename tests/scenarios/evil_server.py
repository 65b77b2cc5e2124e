"""What an evil server has: the account's login shell, its sshd and its borg are its own.

Every command of ours, the forced one of a client too, is run by the account's shell. An evil
one does as it likes with those that match, and is the honest shell for the rest.
"""

import re
import shlex

from lab import Lab
from scenarios import attacker, person, state

SHELL, HONEST = "/run/evil-shell", "/usr/lib/lab/account-shell"
ESC = r"printf '\033]0;owned\007\033[2J\033[31mOWNED'"
# `real` is what the honest shell makes of the command; @CASES@ may exit before it comes to that.
_TEXT = f"""#!/bin/sh
command="$2"; here="$SSH_CONNECTION"
real() {{ {HONEST} -c "$command"; }}
case "$command" in
@CASES@
esac
exec {HONEST} "$@"
"""
_TURN = "sed -i 's#^\\(zh1234:.*:\\)/[^:]*$#\\1@SHELL@#' /etc/passwd"


def turns(lab: Lab, *cases: tuple[str, str]) -> None:
    """Let the server turn evil: for each command that matches a PATTERN of sh, run its script."""
    text = "\n".join(f"{pattern}) {script};;" for pattern, script in cases)
    attacker.writes(lab, SHELL, _TEXT.replace("@CASES@", text).encode(), "server", "root")
    lab.server.exec(["sh", "-c", f"chmod 755 {SHELL}; {_TURN.replace('@SHELL@', SHELL)}"],
                    check=True)  # fmt: skip


def repents(lab: Lab) -> None:
    """Give the account its honest shell back."""
    lab.server.exec(["sh", "-c", _TURN.replace("@SHELL@", HONEST)], check=True)


def is_withstood(lab: Lab, *command: str, code: int) -> str:
    """Run a command of dom0 that ends in CODE, with one error and one hint that no byte bends.

    A failure's detail may be the server's own words: at most one line of printable ASCII.
    """
    said = person.is_refused(lab, *command, code=code, says=": ")
    assert re.fullmatch(r"[\n\x20-\x7e]*", said) and max(map(len, said.splitlines())) < 400
    assert state.gates(lab) == [] and attacker.calling(lab) == b""
    return said


def listens(lab: Lab, script: str) -> None:
    """Put a program of its own in sshd's place; SCRIPT gets each connection as its output."""
    serve = f"""import socket, subprocess
listener = socket.create_server(("", 22), reuse_port=True)
while True:
    each, _address = listener.accept()
    subprocess.Popen(["/bin/sh", "-c", {script!r}], stdin=each, stdout=each)
    each.close()
"""
    lab.server.stop_sshd()
    start = f"setsid python3 -c {shlex.quote(serve)} >/dev/null 2>&1 & echo $! > /run/evil.pid"
    lab.server.exec(["sh", "-c", start], check=True)


def stops_listening(lab: Lab) -> None:
    """Bring the genuine sshd back."""
    lab.server.exec(["sh", "-c", 'kill -9 -$(cat /run/evil.pid)'], check=True)
    lab.server.start_sshd()
