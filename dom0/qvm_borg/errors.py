"""What can go wrong, each with its exit code, a message for the operator and a hint.

Runs in dom0; pure. The classes lie beside it as data: errors.toml; 128+N belongs to signals.
What a service reports is told in qvm_borg.telling.
"""

from string import Template
from typing import Any

from qborg_wire import data

_TOLD = data.beside(__file__)
TEXTS: dict[str, str] = _TOLD["texts"]


class QvmBorgError(Exception):
    """anything that is not listed here"""

    exit_code = 1
    hint = "run the command again with -v to see each call"

    def __init__(self, message: str, hint: str = "", cause: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.cause = message, hint or type(self).hint, cause


def filled(told: str, /, **fields: object) -> str:
    """Answer a text with the fields and the texts that it names; raises KeyError for another."""
    return Template(told).substitute(TEXTS, **fields)


def _kind(name: str, row: dict[str, Any]) -> type[QvmBorgError]:
    hint = filled(row.get("hint", QvmBorgError.hint))
    told = {"__module__": __name__, "__doc__": row["means"], "exit_code": row["code"], "hint": hint}
    return type(name, (QvmBorgError,), told)


KINDS = {name: _kind(name, row) for name, row in _TOLD.items() if name != "texts"}


def __getattr__(name: str) -> type[QvmBorgError]:
    """Answer the class of that name, as if it were written out here; raises AttributeError."""
    if name not in KINDS:
        raise AttributeError(name)
    return KINDS[name]


def table() -> tuple[type[QvmBorgError], ...]:
    """Answer every class in the order of its exit code."""
    return tuple(sorted((QvmBorgError, *KINDS.values()), key=lambda kind: kind.exit_code))
