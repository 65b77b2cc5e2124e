"""Why a service could not do what it was asked: words that both sides know, causes.txt.

dom0 turns each into an error with an exit code and a hint (qvm_borg/failures.toml). They are bare
words: whoever needs nothing else of the contract, such as a scheduled run, starts without the
parser of TOML.
"""

from pathlib import Path

CAUSES = frozenset(Path(__file__).with_suffix(".txt").read_text(encoding="ascii").split())
