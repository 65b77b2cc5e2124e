"""Features of a qube: a mapping to text. Runs in dom0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qubesadmin.vm import QubesVM


class Features:
    """The features of one qube, each asked for when it is needed.

    True becomes `1` and False the empty text; everything else is stored as str() writes it.
    """

    NO_DEFAULT = object()

    def __init__(self, vm: QubesVM) -> None:
        """Take the qube."""
        self.vm = vm

    def _call(self, call: str, key: str | None = None, payload: bytes | None = None) -> bytes:
        return self.vm.qubesd_call(self.vm.name, "admin.vm.feature." + call, key, payload)

    def __getitem__(self, item: str) -> str:
        """Return a feature; raise QubesFeatureNotFoundError."""
        return self._call("Get", item).decode("utf-8")

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a feature."""
        text = ("1" if value else "") if isinstance(value, bool) else str(value)
        self._call("Set", key, text.encode())

    def __delitem__(self, key: str) -> None:
        """Remove a feature; raise QubesFeatureNotFoundError."""
        self._call("Remove", key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over names."""
        return iter(self._call("List").decode("utf-8").splitlines())

    keys = __iter__

    def items(self) -> Iterator[tuple[str, str]]:
        """Iterate over names and values."""
        for key in self:
            yield key, self[key]

    def get(self, item: str, default: Any = None) -> Any:
        """Return a feature, or the default."""
        return self._or_default("Get", item, default)

    def check_with_template(self, feature: str, default: Any = None) -> Any:
        """Return a feature of the qube, else of its template, else the default."""
        return self._or_default("CheckWithTemplate", feature, default)

    def _or_default(self, call: str, feature: str, default: Any) -> Any:
        try:
            return self._call(call, feature).decode("utf-8")
        except KeyError:
            if default is self.NO_DEFAULT:
                raise
            return default
