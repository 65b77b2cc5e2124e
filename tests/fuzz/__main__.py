#!/usr/bin/python3
"""`make fuzz`: every parser of less trusted bytes, fed with inputs that lie.

Runs on a developer's host. One process for each parser, one after the other; the seed that is
printed makes the same inputs again. The table at the end lies in build/fuzz.md too.
"""

import argparse
import datetime
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "dom0"), str(_TESTS.parent / "vm-services")]

from fuzz import loop, table
from fuzz.target import Target
from fuzz.targets import TARGETS

INPUTS = 200_000
_DRIVER = Path(__file__).with_name("drive.py")
# Guidance depends on addresses, so the same inputs come again only where they do.
_FIXED_ADDRESSES = ("/usr/bin/setarch", "--addr-no-randomize")


def fixed_addresses() -> tuple[str, ...]:
    """Answer the prefix of a command with fixed addresses, nothing where that is forbidden."""
    tried = subprocess.run([*_FIXED_ADDRESSES, "/bin/true"], stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    return _FIXED_ADDRESSES if tried.returncode == 0 else ()


def fuzz(target: Target, inputs: int, seed: int) -> table.Row:
    """Run one parser in a process of its own; answers its row, and tells of a finding at once."""
    with tempfile.TemporaryDirectory(prefix="qborg-fuzz.") as folder:
        for number, data in enumerate(target.seeds):
            Path(folder, f"{number:04}").write_bytes(data)
        command = [*fixed_addresses(), sys.executable, "-B", str(_DRIVER), target.name, str(inputs),
                   str(seed), folder]  # fmt: skip
        # Sets in another order would be other inputs.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace")  # fmt: skip
    row = table.row_of(target.name, done.stdout, done.stderr, kept=done.returncode == 0)
    print(row, flush=True)
    if done.returncode == 0:
        return row
    print(done.stderr[-8000:], file=sys.stderr)
    print(f"error: {target.name}: exit code {done.returncode}, the input is in build/fuzz/\n"
          f"hint: .venv/bin/python tests/fuzz --only {target.name} --seed {seed} --inputs {inputs}",
          file=sys.stderr)  # fmt: skip
    return row


def replay(path: Path) -> int:
    """Give one kept input to its parser again; answers the exit code."""
    target = TARGETS[path.name.partition("@")[0]]
    try:
        print(f"{target.name}: {target.one(path.read_bytes())}")
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def main(arguments: Sequence[str]) -> int:
    """Fuzz all parsers, or those that are named; answers the exit code."""
    parser = argparse.ArgumentParser(prog="tests/fuzz", description=__doc__)
    parser.add_argument("--only", action="append", choices=TARGETS, help="may be given again")
    parser.add_argument("--inputs", type=int, default=INPUTS, help="for each parser")
    parser.add_argument("--seed", type=int, default=None, help="the one that was printed")
    parser.add_argument("--replay", type=Path, help="one file of build/fuzz/, nothing else")
    options = parser.parse_args(arguments)
    if options.replay is not None:
        return replay(options.replay)
    seed = secrets.randbelow(2**31 - 1) + 1 if options.seed is None else options.seed
    print(f"seed {seed}; the same again: make fuzz SEED={seed}", flush=True)
    rows = [fuzz(TARGETS[name], options.inputs, seed) for name in options.only or TARGETS]
    versions = f"atheris {metadata.version('atheris')}, Python {platform.python_version()}"
    text = table.rendered(datetime.date.today().isoformat(), seed, versions, rows)
    loop.KEPT.mkdir(parents=True, exist_ok=True)
    loop.KEPT.with_suffix(".md").write_text(text, encoding="ascii")
    print(f"\n{text}", end="")
    return 1 if any(row.findings for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
