"""One parser fed with many inputs, counted; an input that breaks its contract is kept.

Runs on a developer's host. Imports no driver: the sample, the replay and the coverage-guided run
all come through here.
"""

import hashlib
import random
import time
from collections import Counter
from pathlib import Path

from fuzz import bend
from fuzz.target import Target

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "fuzz"


class Broken(Exception):
    """A contract was broken by an input, which lies in `path`."""

    def __init__(self, target: Target, path: Path) -> None:
        super().__init__(f"{target.name}: its contract is broken")
        self.path = path
        self.hint = f".venv/bin/python tests/fuzz --replay {path.relative_to(ROOT)}"


class Tally:
    """What became of the inputs so far."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start = time.monotonic()
        self.inputs = 0
        self.outcomes: Counter[str] = Counter()

    def feed(self, data: bytes) -> str:
        """Give the parser one input; raises Broken, with the input kept, if it misbehaves."""
        self.inputs += 1
        try:
            outcome = self._target.one(data)
        except Exception as error:
            raise Broken(self._target, keep(self._target, data)) from error
        self.outcomes[outcome] += 1
        return outcome

    def line(self) -> str:
        """Answer inputs, seconds and distinct outcomes for table.py."""
        return f"{self.inputs} {time.monotonic() - self._start:.1f} {len(self.outcomes)}"


def keep(target: Target, data: bytes) -> Path:
    """Write an input beside the others that broke something; answers where it lies."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{target.name}@{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path


def longest_bent(target: Target) -> int:
    """Answer how many bytes an input may have that is bent again; a long one is slow to bend."""
    return 2 * max(map(len, target.seeds)) + 1000


def sample(target: Target, inputs: int, seed: int) -> Tally:
    """Feed the seeds, then inputs bent from them and from whatever had a new outcome."""
    dice, tally = random.Random(f"{seed} {target.name}"), Tally(target)
    pool, longest = list(target.seeds), longest_bent(target)
    for data in target.seeds:
        tally.feed(data)
    while tally.inputs < inputs:
        source = target.seeds if dice.random() < 0.5 else pool
        data = bend.bent(dice.choice(source), target, dice)
        before = len(tally.outcomes)
        tally.feed(data)
        if len(tally.outcomes) > before and len(data) <= longest:
            pool.append(data)
    return tally
