"""Write the list of calls of a set-up, enrolment and rotation anew; look at what changed.

Run by hand, in the repository's environment: .venv/bin/python tests/kill/write_calls.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import Lab
from scenarios import killed, kills, person
from scenarios.conftest import WORLD


def main() -> None:
    """Go through them once; the list's tests compare what they see with the file."""
    with Lab.up(WORLD) as lab:
        calls = [*killed.Setup(lab).clean.calls]
        person.runs(lab, "qvm-borg-setup", "--vault", killed.VAULT)
        lab.faults.clear()
        calls += killed.enrolment(lab).calls
        lab.faults.clear()
        calls += killed.rotation(lab).calls
    kills.LIST.write_text("".join(f"{call.line()}\n" for call in calls), encoding="ascii")
    print(f"{len(calls)} calls, {len(kills.rows(calls))} kills; see git diff {kills.LIST}")


if __name__ == "__main__":
    main()
