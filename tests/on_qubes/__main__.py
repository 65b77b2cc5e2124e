#!/usr/bin/python3
"""The suite on a real Qubes: from the set-up to a recovery, on qubes that it makes and removes.

Runs in dom0, as its ordinary user, with nothing but Python and qubesadmin. It refuses a machine
that is set up already: what it does to dom0, it could not undo there.
"""

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from machine import Machine, NotPossible
from story import STORY, Story, StoryFailed

ABOUT = """\
It makes three qubes, qborg-test-work, qborg-test-vault and qborg-test-keeper, and goes the whole
way with them: set up, close the firewall, enrol, back up, restore, prove, rotate, lose the qube,
recover, revoke. Then all of it is removed again, also when a step fails; --keep leaves it to be
looked at, and --clean removes what a run left that was killed. Nothing of yours is touched.

What stays: on the server the admin key's line in authorized_keys, which names qborgtest, and an
empty directory `repos`; with --salt the packages in the template. Take an account that has no
backups in it.
"""


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "on_qubes", description="Try qubes-borg on this machine, with throw-away qubes.",
        epilog=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--server", metavar="ACCOUNT@HOST[:PORT]", help="where the backups go")
    parser.add_argument("--fingerprint", metavar="SHA256:...", help="its host key")
    parser.add_argument("--template", metavar="NAME", help="of the qubes (the default template)")
    parser.add_argument("--netvm", metavar="NAME", help="of the qubes (the default netvm)")
    parser.add_argument("--salt", action="store_true",
                        help="have Salt bring the packages into the template, which is halted")
    parser.add_argument("--password", action="store_true",
                        help="log in once by the account's password; else add the line shown")
    parser.add_argument("--keep", action="store_true", help="leave everything as it is at the end")
    parser.add_argument("--clean", action="store_true", help="only remove what a run has left")
    options = parser.parse_args(arguments)
    if not options.clean and not (options.server and options.fingerprint):
        sys.exit(_tell("--server and --fingerprint are needed, or --clean",
                       "`python3 on_qubes --help` explains all of it", 2))
    return options


def _tell(error: object, hint: str, code: int) -> int:
    print(f"error: {error}\nhint: {hint}", file=sys.stderr)
    return code


def main(arguments: list[str]) -> int:
    """Tell the story, or clean; answers 0, 1 if a step or the cleaning failed, 3 for no start."""
    options = _options(arguments)
    try:
        machine = Machine()
        if options.clean:
            return 0 if machine.clean() else 1
        machine.must_be_untouched()
    except NotPossible as error:
        return _tell(error, error.hint, 3)
    code = _told(Story(machine, options))
    if options.keep:
        print("kept, as asked for; `--clean` removes it")
        return code
    return code if machine.clean() else code or 1


def _told(story: Story) -> int:
    """Take every step; answers the exit code."""
    try:
        for number, (title, act) in enumerate(STORY, 1):
            print(f"[{number:>2}/{len(STORY)}] {title}", flush=True)
            act(story)
    except (StoryFailed, subprocess.SubprocessError) as error:
        return _tell(error, "what was said stands above; --keep leaves all to be looked at", 1)
    except NotPossible as error:
        return _tell(error, error.hint, 3)
    except KeyboardInterrupt:
        return _tell("interrupted", "run it again", 130)
    print(f"all {len(STORY)} steps are as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
