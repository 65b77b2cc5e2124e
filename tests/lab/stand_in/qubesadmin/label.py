"""Labels of qubes. Runs in dom0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qubesadmin import exc

if TYPE_CHECKING:
    from qubesadmin.app import QubesBase


class Label:
    """One label; its colour and number are asked for when needed."""

    def __init__(self, app: QubesBase, name: str) -> None:
        """Take the name without asking whether it exists."""
        self.app = app
        self._name = name

    @property
    def name(self) -> str:
        """Name, like `red`."""
        return self._name

    @property
    def color(self) -> str:
        """Colour, like `0xcc0000`."""
        return self._ask("Get", "label.color")

    @property
    def index(self) -> int:
        """Number."""
        return int(self._ask("Index", "label.index"))

    @property
    def icon(self) -> str:
        """Name of the icon."""
        return "appvm-" + self.name

    def _ask(self, call: str, what: str) -> str:
        try:
            return self.app.qubesd_call("dom0", "admin.label." + call, self._name).decode()
        except exc.QubesDaemonAccessError as error:
            raise exc.QubesPropertyAccessError(what) from error

    def __str__(self) -> str:
        """Return the name."""
        return self._name

    def __eq__(self, other: object) -> bool:
        """Compare by name."""
        return isinstance(other, Label) and self.name == other.name

    def __hash__(self) -> int:
        """Hash as the name does."""
        return hash(self._name)


class Labels:
    """All labels, by name."""

    def __init__(self, app: QubesBase) -> None:
        """Ask nothing yet."""
        self.app = app

    def keys(self) -> list[str]:
        """Return the names."""
        return self.app.qubesd_call("dom0", "admin.label.List").decode("ascii").splitlines()

    def values(self) -> list[Label]:
        """Return the labels."""
        return [self.get_blind(name) for name in self.keys()]

    def get_blind(self, item: str) -> Label:
        """Return a label without asking whether it exists."""
        return Label(self.app, item)

    def __getitem__(self, item: str) -> Label:
        """Return a label; raise KeyError."""
        if item not in self:
            raise KeyError(item)
        return self.get_blind(item)

    def __contains__(self, item: object) -> bool:
        """Tell whether there is such a label."""
        return item in self.keys()

    def __iter__(self) -> Iterator[str]:
        """Iterate over names."""
        return iter(self.keys())
