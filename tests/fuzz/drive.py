"""The coverage-guided driver: one parser in one process, under atheris (libFuzzer for Python).

Runs on a developer's host, started by __main__.py: `drive.py TARGET INPUTS SEED SEEDS_DIRECTORY`.
What reaches a new line or comparison of the parsers is bent again. Ends the process itself:
libFuzzer would not come back.
"""

import os
import random
import shutil
import sys
import traceback
from pathlib import Path

import atheris

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "dom0"), str(_TESTS.parent / "vm-services")]
_PARSERS = ["qborg_wire", "qborg_borg", "qborg_maintenance", "qborg_client", "qborg_vault",
            "qvm_borg", "tomllib"]
with atheris.instrument_imports(include=_PARSERS):
    from fuzz import bend, loop
    from fuzz.target import scratch
    from fuzz.targets import TARGETS

BROKEN = 77
_SECONDS = 30  # for one input; libFuzzer then ends the process and keeps the input
_OURS = 0.8  # of the mutations know the structure, the rest are libFuzzer's own
_AFRESH = 0.2  # of the inputs are bent from a seed


def main(name: str, inputs: int, seed: int, corpus: str) -> None:
    """Fuzz one parser; prints its line of the table and ends the process with 0 or BROKEN."""
    target = TARGETS[name]
    tally, longest_bent = loop.Tally(target), loop.longest_bent(target)

    def one(data: bytes) -> None:
        try:
            tally.feed(data)
        except loop.Broken as broken:
            traceback.print_exception(broken.__cause__)
            print(f"error: {broken}\nhint: {broken.hint}", file=sys.stderr)
            _end(tally, BROKEN)
        if tally.inputs >= inputs:
            _end(tally, 0)

    def mutate(data: bytes, most: int, dice_seed: int) -> bytes:
        dice = random.Random(dice_seed)
        # What is as long as may be tells most when it is new, and takes its time.
        if len(data) > longest_bent or dice.random() < _AFRESH:
            data = dice.choice(target.seeds)
        if dice.random() < _OURS:
            return bend.bent(data, target, dice)[:most]
        return bytes(atheris.Mutate(data, most))

    loop.KEPT.mkdir(parents=True, exist_ok=True)
    longest = target.head + target.limit + bend.BEYOND
    # The files by name and no directory: its order, and rereading it by the clock, would be chance.
    files = ",".join(map(str, sorted(Path(corpus).iterdir())))
    options = [f"-seed={seed}", f"-max_len={longest}", f"-timeout={_SECONDS}", "-verbosity=1",
               f"-artifact_prefix={loop.KEPT}/{name}@", "-rss_limit_mb=4096",
               f"-seed_inputs={files}"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate)
    atheris.Fuzz()


def _end(tally: loop.Tally, code: int) -> None:
    print(tally.line(), flush=True)
    sys.stderr.flush()
    shutil.rmtree(scratch())
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
