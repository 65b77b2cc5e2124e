#!/usr/bin/python3
"""`make demo`: the suite in a simulated Qubes, from the set-up to a restore that is compared.

Runs on a developer's host. Every line behind a prompt is what a person would type there.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.screen import DemoFailed
from demo.story import tell
from lab import LabError
from lab.ns import NamespaceError
from lab.template import TemplateError


def main() -> int:
    """Tell the whole story; answers the exit code."""
    try:
        tell()
    except (DemoFailed, LabError, NamespaceError, TemplateError) as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 1
    except subprocess.SubprocessError as error:
        print(f"error: {error}\nhint: {DemoFailed.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted\nhint: nothing is left behind; run it again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
