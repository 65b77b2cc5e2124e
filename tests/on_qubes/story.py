"""What is tried, one act after the other: each command as a person types it, and what it left.

Runs in dom0. A command's words are for the person and are shown; what is asserted is its exit code,
its JSON and the files in the qube.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import KEEPER, MACHINE, VAULT, WORK, Machine

_FILES = "/home/user/qborg-test"
_RESTORED = "/home/user/qborg-test-restored"
_KNOWS = "/home/user/.local/state/qubes-borg/qube"  # what Xen and dom0 call it alike: ADR 17
_MAKES_FILES = f"""
mkdir -p {_FILES}/deep/er
head -c 300000 /dev/urandom > {_FILES}/random
printf 'dear\\n' > {_FILES}/letter
ln -s letter {_FILES}/link
chmod 640 {_FILES}/letter
touch -d 2020-02-02 {_FILES}/deep/er/old
"""
_LOOKS = """
cd %s
find . -printf '%%P %%y %%m %%l %%T@\\n' | sort
find . -type f -exec sha256sum {} + | sort
"""
_POLICY = Path("/etc/qubes/policy.d/70-qubes-borg.policy")
_REFUSED = 126  # by the policy


class StoryFailed(Exception):
    """Something is not as it should be."""


class Story:
    """One run: the machine, what was asked for, and what the acts tell each other."""

    def __init__(self, machine: Machine, options: argparse.Namespace) -> None:
        self.machine, self.options = machine, options
        self.files = ""  # what the qube's files are like

    def dom0(self, *command: str, codes: tuple[int, ...] = (0,), asks: bool = False) -> str:
        """Run a command of ours and answer what it printed; shown at once if it asks a person."""
        print(f"    $ {' '.join(command)}", flush=True)
        shown = None if asks else subprocess.PIPE
        done = subprocess.run(command, stdin=None if asks else subprocess.DEVNULL, stdout=shown,
                              stderr=shown, text=True, errors="replace", check=False)
        if done.returncode not in codes:
            print(done.stdout or "", done.stderr or "", sep="", file=sys.stderr)
            raise StoryFailed(f"`{' '.join(command)}` ended with {done.returncode}")
        return done.stdout or ""

    def told(self, *command: str, codes: tuple[int, ...] = (0,)) -> Any:
        """Answer what a command says to a program."""
        try:
            return json.loads(self.dom0(*command, "--json", codes=codes))
        except ValueError as error:
            raise StoryFailed(f"`{command[0]} --json` printed no JSON") from error

    def same(self, found: object, wanted: object, what: str) -> None:
        """Raise StoryFailed unless the two are the same."""
        if found != wanted:
            raise StoryFailed(f"{what}:\n  found  {found}\n  wanted {wanted}")


def make_qubes(story: Story) -> None:
    """A qube to be backed up, and a vault that cannot reach anybody."""
    given = story.options
    story.machine.make(story.machine.template(given.template), given.netvm, given.salt)


def set_up(story: Story) -> None:
    """Our packages if Salt is to bring them, the maintenance qube, the server, the vault."""
    given = story.options
    salt = story.machine.template(given.template) if given.salt else None
    also = [word for flag, value in (("--template", given.template), ("--netvm", given.netvm),
                                     ("--salt", salt)) if value for word in (flag, value)]
    story.dom0("qvm-borg-setup", "--server", given.server, "--fingerprint", given.fingerprint,
               "--machine", MACHINE, "--maintenance", KEEPER, "--vault", VAULT, *also,
               "--password" if given.password else "--no-password", "--wait", "900", asks=True)


def firewall(story: Story) -> None:
    """The maintenance qube reaches the server alone, and all that follows is done so."""
    before = story.machine.rules(WORK)
    story.dom0("qvm-borg-setup", "--firewall", WORK, KEEPER)
    story.same(story.machine.rules(WORK), before, f"rules of {WORK}, which reaches everything")
    found = [rule.split()[0] for rule in story.machine.rules(KEEPER)]
    story.same(found, ["action=accept", "action=accept", "action=drop"], f"rules of {KEEPER}")


def write_files(story: Story) -> None:
    """What is to be backed up, of several kinds."""
    story.machine.start(WORK)
    story.machine.shell(WORK, _MAKES_FILES)
    story.files = _look(story, _FILES)


def enroll(story: Story) -> None:
    """One qube, to the proof; once more changes nothing."""
    story.dom0("qvm-borg-enroll", WORK)
    before = story.told("qvm-borg-restore", WORK, "--list")
    story.dom0("qvm-borg-enroll", WORK)
    after = story.told("qvm-borg-restore", WORK, "--list")
    story.same(after, before, "archives after a second run")
    story.same(len(before["archives"]), 1, "archives after an enrolment")
    knows = story.machine.shell(WORK, f"cat {_KNOWS} || echo nothing").strip()
    story.same(knows, story.machine.uuid(WORK), f"what {WORK} takes itself for")


def closed(story: Story) -> None:
    """At rest no qube may call another one's services."""
    # Qubes refuses what no rule names, too: so the rules themselves have to be there.
    rules = _POLICY.read_text(encoding="ascii").splitlines() if _POLICY.exists() else []
    denied = [line.split()[0] for line in rules if line.split()[1:] == ["*", "*", "*", "deny"]]
    story.same("qborg.DescribeRecord" in denied, True, f"the rule of {_POLICY}")
    for name in (VAULT, KEEPER, "dom0"):
        said = story.machine.shell(
            WORK, f"code=0; qrexec-client-vm {name} qborg.DescribeRecord+qborgtest-x </dev/null "
            ">/dev/null 2>&1 || code=$?; echo $code")
        story.same(said.strip(), str(_REFUSED), f"a call of {name} by {WORK}")


def status(story: Story) -> None:
    """Nobody is needed, and the server bears out what the qube claims."""
    row = story.told("qvm-borg-status", WORK)["qubes"][0]
    story.same([each["name"] for each in row["troubles"] if not each["chosen"]], [], "troubles")
    story.same(row["escrow"], "in the vault", "escrow")


def back_up(story: Story) -> None:
    """Again, with a change; dom0 hands over what the qube is."""
    story.machine.shell(WORK, f"printf 'again\\n' > {_FILES}/second")
    story.files = _look(story, _FILES)
    told = story.told("qvm-borg-backup", WORK)
    story.same(told[0]["outcome"], "done", "the backup")
    found = story.told("qvm-borg-restore", WORK, "--list")["archives"]
    story.same(len(found), 2, "archives after a backup")


def restore(story: Story) -> None:
    """To another directory, and the files over a lost one in their place."""
    story.dom0("qvm-borg-restore", WORK, _FILES, "--to-directory", _RESTORED)
    story.same(_look(story, f"{_RESTORED}{_FILES}"), story.files, "restored files")
    story.machine.shell(WORK, f"rm -r {_RESTORED} {_FILES}/letter")
    story.dom0("qvm-borg-restore", WORK, f"{_FILES}/letter", "--in-place", "--yes")
    story.same(story.machine.shell(WORK, f"cat {_FILES}/letter"), "dear\n", "the letter in place")


def check(story: Story) -> None:
    """The vault's record alone opens the repository, in a disposable."""
    story.dom0("qvm-borg-check", WORK)
    story.dom0("qvm-borg-check", WORK, "--keys")


def rotate(story: Story) -> None:
    """Another key and another passphrase; the archives stay."""
    story.dom0("qvm-borg-rotate", WORK)
    found = story.told("qvm-borg-restore", WORK, "--list")["archives"]
    if len(found) < 2:
        raise StoryFailed("archives are gone after a rotation")


def kit(story: Story) -> None:
    """The pages are in the vault, and in dom0 is nothing of them."""
    story.dom0("qvm-borg-recover", "--print-kit", "--all")


def lose(story: Story) -> None:
    """The qube is gone, and comes back with its files."""
    story.dom0("qvm-borg-backup", WORK)
    story.machine.remove(WORK)
    story.dom0("qvm-borg-recover", WORK, "--yes")
    story.machine.take(WORK)
    story.same(_look(story, _FILES), story.files, "files of the qube that came back")


def revoke(story: Story) -> None:
    """The key and the repository are off the server."""
    story.dom0("qvm-borg-revoke", WORK, "--delete-repository", "--yes")
    story.same(story.told("qvm-borg-status", codes=(0, 27))["qubes"], [], "enrolled qubes")


def _look(story: Story, directory: str) -> str:
    """Answer names, kinds, modes, links, times and digests of all files below a directory."""
    lines = story.machine.shell(WORK, _LOOKS % directory).splitlines()
    return "\n".join(line for line in lines if not line.startswith(" d "))  # the top one itself


STORY: tuple[tuple[str, Callable[[Story], None]], ...] = (
    ("make the qubes", make_qubes),
    ("set up; a person is asked for the server's part", set_up),
    ("let the maintenance qube reach the server alone", firewall),
    ("write files", write_files),
    ("enrol, twice", enroll),
    ("no qube may call another", closed),
    ("the status", status),
    ("back up", back_up),
    ("restore", restore),
    ("prove what the vault has", check),
    ("rotate", rotate),
    ("print the kit", kit),
    ("lose the qube and recover it", lose),
    ("revoke, and delete the repository", revoke),
)
