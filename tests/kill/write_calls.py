"""Write the list of calls of a set-up, enrolment and rotation anew; look at what changed.

Run by hand, in the repository's environment: .venv/bin/python tests/kill/write_calls.py
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import Lab
from scenarios import killed, kills, person, typist
from scenarios.conftest import WORLD
from scenarios.killed_password import Password


def main() -> None:
    """Go through them once; the list's tests compare what they see with the file."""
    with tempfile.TemporaryDirectory() as folder, Lab.up(
        typist.world_with_windows(Path(folder))
    ) as lab:
        by_password = Password(lab).clean.calls
    with Lab.up(WORLD) as lab:
        calls = [*killed.Setup(lab).clean.calls, *by_password]
        person.runs(lab, "qvm-borg-setup", "--vault", killed.VAULT)
        lab.faults.clear()
        calls += killed.enrolment(lab).calls
        lab.faults.clear()
        calls += killed.rotation(lab).calls
    kills.LIST.write_text("".join(f"{call.line()}\n" for call in calls), encoding="ascii")
    print(f"{len(calls)} calls, {len(kills.rows(calls))} kills; see git diff {kills.LIST}")


if __name__ == "__main__":
    main()
