#!/usr/bin/python3
"""`make bench`: how long things take, against the same done by hand, in a simulated Qubes.

Runs on a developer's host. A missed goal is reported and ends in exit code 1.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench import report
from bench.measure import Result
from bench.place import WORLD, Place, Size, prepares
from bench.rows import ROWS
from lab import Lab, LabError


def main() -> int:
    """Measure the rows that are asked for; answers the exit code."""
    options = _parser().parse_args()
    size = Size(options.files, options.bytes, options.repeats, options.crowd)
    results: list[Result] = []
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; {size}")
    print("   ratio   goal", flush=True)
    try:
        with Lab.up(WORLD) as lab:
            prepares(lab)
            for name in options.rows:
                for result in ROWS[name](Place(lab, size)):
                    results.append(result)
                    print(report.line(result), flush=True)
                    report.write(options.output, results)
    except LabError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted\nhint: --rows takes one alone", file=sys.stderr)
        return 130
    print(f"load {os.getloadavg()[0]:.1f}; written to {options.output}")
    return 1 if any(result.met is False for result in results) else 0


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(ROWS):
        raise argparse.ArgumentTypeError(f"there are {', '.join(ROWS)}")
    return names


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _parser() -> argparse.ArgumentParser:
    usual = Size()
    parser = argparse.ArgumentParser("tests/bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=_names, default=list(ROWS), metavar="NAME,…",
                        help=f"only these of {', '.join(ROWS)}")  # fmt: skip
    parser.add_argument("--files", type=_count, default=usual.files, help="small files")
    parser.add_argument("--bytes", type=_count, default=usual.bytes, help="of all files")
    parser.add_argument("--repeats", type=_count, default=usual.repeats, help="rounds of each row")
    parser.add_argument("--crowd", type=_count, default=usual.crowd,
                        help="enrolled qubes for the status; a fifth of them is enrolled at once")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench.json", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
