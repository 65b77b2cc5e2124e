"""Why a service could not do what it was asked: the words both sides know, as data: causes.toml.

dom0 turns each into an error with an exit code and a hint (qvm_borg/failures.toml).
"""

from qborg_wire import data

CAUSES = frozenset(data.beside(__file__)["causes"])
