"""What the person in dom0 does: types a command, reads what it says, adds a line at the server."""

import re

from lab import Lab

SERVER = "zh1234@backup.example"
KEYS = ".ssh/authorized_keys"
HOME = "/home/zh1234"


def runs(lab: Lab, *command: str, code: int = 0, timeout: float = 900) -> str:
    """Run a command in dom0 as its user and answer all it printed; its exit code must be CODE."""
    result = lab.run(list(command), timeout=timeout)
    said = (result.stdout + result.stderr).decode()
    assert result.returncode == code, f"exit code {result.returncode}, not {code}:\n{said}"
    assert "Traceback" not in said, said
    return said


def is_refused(lab: Lab, *command: str, code: int, says: str) -> str:
    """Run a command that must end in one `error:` line that holds SAYS and one `hint:` line."""
    said = runs(lab, *command, code=code)
    errors = re.findall(r"^error: (.*)$", said, re.MULTILINE)
    assert len(errors) == 1 and len(re.findall(r"^hint: .+$", said, re.MULTILINE)) == 1, said
    assert says in errors[0], said
    return said


def fingerprint(lab: Lab) -> str:
    """Answer the fingerprint of the server's host key, as its provider would publish it."""
    key = lab.server.host_key().encode() + b"\n"
    printed = lab.exec("sys-firewall", ["ssh-keygen", "-l", "-f", "-"], input=key, check=True)
    return printed.stdout.decode().split()[1]


def adds_the_line(lab: Lab, said: str) -> None:
    """Do what qvm-borg-setup asks for: add the line that it showed at the server."""
    line = re.search(r"^ssh-ed25519 \S+ qubes-borg-admin \S+$", said, re.MULTILINE)
    assert line is not None, said
    old = lab.server.exec(["cat", f"{HOME}/{KEYS}"], check=True).stdout
    new = old + line[0].encode() + b"\n"
    lab.server.exec(["dd", f"of={HOME}/{KEYS}"], user="zh1234", input=new, check=True)


def sets_up(lab: Lab, *options: str) -> None:
    """Go through qvm-borg-setup as its messages tell to."""
    lab.do("start", "sys-firewall")
    command = ("qvm-borg-setup", "--server", SERVER, "--fingerprint", fingerprint(lab), *options)
    adds_the_line(lab, runs(lab, *command, code=15))
    runs(lab, "qvm-borg-setup")
    lab.do("start", "borg-maintenance")
