"""A value that must not be seen: passphrases and private keys while they are in memory.

Runs in the qubes that hold secrets. Printing, formatting and pickling it tell nothing.
"""

import hmac
from typing import NoReturn


class Secret:
    """Bytes that show only to `reveal()`."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: bytes) -> None:
        """Keep the bytes."""
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """Answer the bytes, for a descriptor or a private file and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __format__(self, _format_spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
