"""The story of the demo: what a person does on the first day, one act after the other.

Runs on a developer's host. What is not typed in dom0 or a qube is done by the lab: bringing files
into `work`, and the part of the person at the server.
"""

import base64
import hashlib
import io
import subprocess
import tarfile
import time
from pathlib import Path

from lab import Lab

from demo.screen import DemoFailed, Screen

REPOSITORY = Path(__file__).resolve().parents[2]
SERVER = "zh1234@backup.example"  # as worlds/default.toml has it
FILES = "/home/user/files"
RESTORED = "/home/user/restored"
AT_LEAST = 5000  # files, so that it is a backup and not a toy
KEEPER = "borg-maintenance"
PASSWORD = "correct horse battery"
NEXT = """\
Where to go next
  tests/labctl run --state ~/lab -- qvm-borg-setup --help
                    a lab that stays; then `tests/labctl shell` is its dom0,
                    `tests/labctl shell work` the qube; `tests/labctl down` ends it
  README.md         what each domain is trusted with, and where is what
  CONTRIBUTING.md   the first hour; `make check` is the fast part, `make test` all but long kills
"""


def tell() -> None:
    """Bring a lab up and play every act; raises DemoFailed or LabError."""
    began = time.monotonic()
    print("A simulated Qubes is brought up: dom0, work, personal, vault, a firewall, a server.")
    with Lab.up("default") as lab:
        screen = Screen(lab)
        screen.heading("Real files for the qube `work`")
        fill(lab, screen)
        screen.heading("Once for each machine: the server, the maintenance qube and the vault")
        set_up(lab, screen)
        screen.heading("Once for each qube")
        screen.dom0("qvm-borg-enroll work")
        screen.heading("The qube goes on working, and is backed up again")
        change(screen)
        screen.dom0("qvm-borg-backup work")
        screen.qube("work", "borgbak list")
        screen.heading("A restore, compared byte for byte")
        restore(screen)
    print(f"\nThat took {time.monotonic() - began:.0f} s; the lab is gone without a trace.\n")
    print(NEXT, end="")


def fill(lab: Lab, screen: Screen) -> None:
    """Bring the template's own files and this repository into the qube's home."""
    screen.qube("work", "mkdir files")
    screen.qube("work", "cp -a /usr/share /usr/lib/python3* files/")
    print("(And this repository comes from outside, into files/qubes-borg.)")
    lab.exec("work", ["tar", "-x", "-C", FILES], input=repository(), check=True)
    found = screen.qube("work", "find files -type f | wc -l")
    if int(found) < AT_LEAST:
        raise DemoFailed(f"{found.strip()} files are too few for a demo")
    screen.qube("work", "du -sh files")


def repository() -> bytes:
    """Answer this repository's own files as a tar archive."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.check_output(command, cwd=REPOSITORY, text=True).split("\0")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in filter(None, listed):
            archive.add(REPOSITORY / name, f"qubes-borg/{name}")
    return buffer.getvalue()


def set_up(lab: Lab, screen: Screen) -> None:
    """Set up an account that has only a password; the person types it in the maintenance qube."""
    fingerprint = page_of_the_provider(lab)
    print(f"(The provider's page says that the host key of {SERVER} is\n {fingerprint}\n"
          " and that the account has a password, and no ssh key yet.)\n")
    options = (f"--server {SERVER} --machine laptop --fingerprint {fingerprint} "
               "--vault vault --password")
    screen.two(f"qvm-borg-setup {options}", "Type the password", KEEPER, "qborg-admin login",
               "Password of", PASSWORD)


def page_of_the_provider(lab: Lab) -> str:
    """Answer the host key's fingerprint, as a provider publishes it."""
    blob = base64.b64decode(lab.server.host_key().split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def change(screen: Screen) -> None:
    """Add, change and remove files."""
    screen.qube("work", "date > files/notes.txt")
    screen.qube("work", "echo changed >> files/qubes-borg/README.md")
    screen.qube("work", "rm -r files/qubes-borg/docs")


def restore(screen: Screen) -> None:
    """Restore everything into another directory and compare it with what is there."""
    screen.dom0(f"qvm-borg-restore work {FILES} --to-directory {RESTORED}")
    screen.qube("work", f"diff -r --no-dereference files restored{FILES}")
    found = screen.qube("work", "find restored -type f | wc -l")
    print(f"\nNo difference in {int(found)} files.")
