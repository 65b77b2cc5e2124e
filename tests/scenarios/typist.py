"""What the person at the maintenance qube does: types the account's password there, once."""

import time
from pathlib import Path

from lab import Lab
from lab.running import RunningProcess
from scenarios import person

WORLD = Path(__file__).parent / "world.toml"
PASSWORD = b"correct horse: \"battery\" $taple"
KEEPER = "borg-maintenance"


def world(folder: Path, *server: str) -> Path:
    """Answer a world like the usual one whose account takes a password; SERVER: more lines."""
    path = folder / "world.toml"
    text = WORLD.read_text(encoding="ascii")
    quoted = PASSWORD.decode().replace('"', '\\"')
    lines = "\n".join((f'password = "{quoted}"', *server))
    path.write_text(text.replace("quota_mb = 64", lines), encoding="ascii")
    return path


def world_with_windows(folder: Path) -> Path:
    """Answer that world with a screen in every qube, and a person who types into each window."""
    path = world(folder)
    (folder / "zenity").write_bytes(b"#!/bin/sh\ncat <<'END'\n%s\nEND\n" % PASSWORD)
    # What the graphical session gives to the services that it starts.
    (folder / "display.sh").write_text("export DISPLAY=:0\n", encoding="ascii")
    lines = [f"install -m 755 {folder}/zenity $ROOT/usr/bin",
             f"install -m 644 {folder}/display.sh $ROOT/etc/profile.d"]
    text = path.read_text(encoding="ascii")
    installed = "[templates.debian-13]\ninstall = ["
    assert installed in text
    more = "".join(f'"{line}", ' for line in lines)
    path.write_text(text.replace(installed, installed + more), encoding="ascii")
    return path


def makes_the_keeper(lab: Lab, server: str = person.SERVER) -> None:
    """Set up as far as it goes without a password: the maintenance qube is made and runs."""
    lab.do("start", "sys-firewall")
    person.runs(lab, "qvm-borg-setup", "--server", server, "--fingerprint",
                person.fingerprint(lab), "--no-password", code=15)  # fmt: skip
    lab.do("start", KEEPER)


def begins(lab: Lab) -> RunningProcess:
    """Start a set-up and come back when the maintenance qube waits for the password."""
    lab.faults.clear()
    tool = lab.popen("dom0", ["qvm-borg-setup", "--password"], input=False)
    pending = ["test", "-e", "/home/user/.local/share/qubes-borg/pending.json"]
    deadline = time.monotonic() + 600
    while lab.exec(KEEPER, pending).returncode != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return tool


def ends(tool: RunningProcess, code: int) -> str:
    """Wait for the set-up's end, which must be CODE, and answer all that it printed."""
    out, err = tool.communicate(None, 300)
    tool.close()
    said = (out + err).decode()
    assert tool.returncode == code, said
    assert "Traceback" not in said and PASSWORD.decode() not in said
    return said


def types(lab: Lab, password: bytes) -> tuple[int, str]:
    """Type a password into the command in the maintenance qube; answer its code and words."""
    result = lab.exec(KEEPER, ["qborg-admin", "login", "--password-fd", "0"],
                      input=password + b"\n")  # fmt: skip
    assert PASSWORD not in result.stdout + result.stderr
    return result.returncode, (result.stdout + result.stderr).decode()
